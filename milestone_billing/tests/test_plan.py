from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .layout_common import LayoutCommon


@tagged("post_install", "-at_install")
class TestPlan(LayoutCommon):
    """The plan on the quotation: milestones with amounts, or with lines that exist already."""

    def test_a_milestone_by_name_date_and_amount_makes_its_section_and_line(self):
        order = self._create_contract([{"name": "Design", "amount_untaxed": 1000.0}], confirm=False)
        milestone = order.milestone_ids
        line = milestone.order_line_ids
        self.assertRecordValues(
            line,
            [
                {
                    "name": "Design",
                    "product_id": self.milestone_product.id,
                    "product_uom_qty": 1.0,
                    "price_unit": 1000.0,
                    "price_subtotal": 1000.0,
                    "tax_ids": self.tax_15.ids,
                }
            ],
        )
        self.assertEqual(self._layout(order), ["[Design]", "Design"])
        self.assertRecordValues(
            milestone, [{"amount_untaxed": 1000.0, "amount_tax": 150.0, "amount_total": 1150.0, "percentage": 100.0}]
        )

    def test_the_product_of_a_milestone_can_be_chosen(self):
        order = self._create_contract([{"amount_untaxed": 10.0, "product_id": self.product_b.id}], confirm=False)
        line = order.milestone_ids.order_line_ids
        self.assertEqual(line.product_id, self.product_b)
        self.assertEqual(line.tax_ids, self.tax_15 + self.tax_sale_b)

    def test_without_a_product_that_of_the_settings_is_taken(self):
        order = self._create_contract([{"amount_untaxed": 10.0, "product_id": False}], confirm=False)
        self.assertEqual(order.milestone_ids.order_line_ids.product_id, self.milestone_product)

    def test_without_any_product_the_amount_says_what_is_missing(self):
        nothing = self.env["product.product"]
        with (
            patch.object(type(self.company), "_get_milestone_product", lambda company: nothing),
            self.assertRefused("Choose a product"),
        ):
            self._create_contract([10.0], confirm=False)

    def test_the_fiscal_position_of_the_client_maps_the_taxes(self):
        order = self._create_contract([100.0], confirm=False, fiscal_position_id=self.fiscal_pos_a.id)
        self.assertEqual(order.milestone_ids.order_line_ids.tax_ids, self.tax_sale_b)

    def test_the_amount_of_a_milestone_can_be_changed_and_cleared_before_the_agreement(self):
        order = self._create_contract([1000.0], confirm=False)
        milestone = order.milestone_ids
        milestone.amount_untaxed = 1234.56
        self.assertEqual(milestone.order_line_ids.price_unit, 1234.56)
        self.assertEqual(order.amount_untaxed, 1234.56)
        milestone.amount_untaxed = 0.0
        self.assertEqual(order.amount_untaxed, 0.0)
        milestone.amount_untaxed = 7.0
        self.assertEqual(milestone.order_line_ids.price_subtotal, 7.0)

    def test_the_amount_holds_when_quantity_or_pricelist_would_change_the_price(self):
        self.milestone_product.list_price = 55.0
        order = self._create_contract([1000.0], confirm=False)
        order._recompute_prices()
        self.assertEqual(order.amount_untaxed, 1000.0)
        order.milestone_ids.order_line_ids.product_uom_qty = 2
        self.assertEqual(order.amount_untaxed, 2000.0)

    def test_the_amount_of_several_lines_is_not_set_as_one(self):
        order = self._create_gated_order(
            [[{"product_id": self.product_a.id}, {"product_id": self.product_b.id}]], confirm=False
        )
        with self.assertRefused("sum of 2 order lines"):
            order.milestone_ids.amount_untaxed = 5.0

    def test_existing_lines_can_be_put_under_a_milestone_and_taken_out_again(self):
        order = self._create_contract(
            [{"name": "Build"}],
            confirm=False,
            lines=[{"product_id": self.product_a.id, "name": "A"}, {"product_id": self.product_b.id, "name": "B"}],
        )
        milestone, (first, second) = order.milestone_ids, order.order_line
        first.billing_milestone_id = milestone
        self.assertEqual(self._layout(order), ["B", "[Build]", "A"])
        self.assertEqual(milestone.amount_untaxed, first.price_subtotal)
        self.assertEqual(order.milestone_unplanned_amount, second.price_subtotal)
        first.billing_milestone_id = False
        self.assertEqual(sorted(self._layout(order)), ["A", "B"])
        self.assertEqual(milestone.amount_untaxed, 0.0)

    def test_free_lines_come_before_the_milestones_and_these_by_their_sequence(self):
        order = self._create_contract(
            [{"name": "One", "amount_untaxed": 1.0}, {"name": "Two", "amount_untaxed": 2.0}],
            confirm=False,
            lines=[{"product_id": self.product_a.id, "name": "Free"}],
        )
        self.assertEqual(self._layout(order), ["Free", "[One]", "One", "[Two]", "Two"])
        order.milestone_ids[0].sequence = 99
        self.assertEqual(self._layout(order), ["Free", "[Two]", "Two", "[One]", "One"])

    def test_a_section_follows_the_name_of_its_milestone(self):
        order = self._create_contract([100.0], confirm=False)
        order.milestone_ids.name = "Renamed"
        self.assertIn("[Renamed]", self._layout(order))

    def test_removing_a_milestone_removes_its_own_lines_and_keeps_the_others(self):
        order = self._create_gated_order([[{"product_id": self.product_a.id, "name": "Kept"}]], confirm=False)
        order.milestone_ids = [Command.create({"name": "Second", "amount_untaxed": 10.0})]
        order.milestone_ids.unlink()
        self.assertEqual(self._layout(order), ["Kept"])
        self.assertFalse(order.order_line.billing_milestone_id)

    def test_removing_the_last_line_of_a_milestone_removes_its_section(self):
        order = self._create_contract([100.0, 200.0], confirm=False)
        order.milestone_ids[0].order_line_ids.unlink()
        self.assertEqual(self._layout(order), ["[Milestone 2]", "Milestone 2"])

    def test_totals_and_shares(self):
        order = self._create_contract(
            [250.0, 500.0], confirm=False, lines=[{"product_id": self.product_a.id, "price_unit": 250.0}]
        )
        self.assertEqual(order.milestone_planned_amount, 750.0)
        self.assertEqual(order.milestone_unplanned_amount, 250.0)
        self.assertEqual(order.milestone_ids.mapped("percentage"), [25.0, 50.0])

    def test_a_negative_milestone_is_refused(self):
        with self.assertRefused("negative"):
            self._create_contract([-100.0], confirm=False)
        order = self._create_contract([100.0], confirm=False)
        with self.assertRefused("negative"):
            order.milestone_ids.amount_untaxed = -0.01

    def test_a_milestone_without_amount_cannot_be_agreed_on_and_the_remainder_is_named(self):
        order = self._create_contract(
            [100.0, {}], confirm=False, lines=[{"product_id": self.product_a.id, "price_unit": 77.0}]
        )
        with self.assertRefused(r"Milestone 2 has no amount.*77\.00"):
            order.action_confirm()
        self.assertEqual(order.state, "draft")

    def test_a_plan_beyond_the_order_cannot_be_agreed_on(self):
        order = self._create_contract(
            [100.0, 200.0], confirm=False, lines=[{"product_id": self.product_a.id, "price_unit": -50.0}]
        )
        with self.assertRefused(r"exceeds the order by.*50\.00"):
            order.action_confirm()

    def test_a_deduction_inside_a_milestone_is_part_of_it(self):
        order = self._create_gated_order(
            [
                [
                    {"product_id": self.product_a.id, "price_unit": 100.0},
                    {"product_id": self.product_a.id, "price_unit": -30.0},
                ]
            ]
        )
        self.assertEqual(order.milestone_ids.amount_untaxed, 70.0)
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_a_line_belongs_to_a_milestone_of_its_own_order(self):
        order, other = self._create_contract([100.0], confirm=False), self._create_contract([1.0], confirm=False)
        with self.assertRefused("another order"):
            order.milestone_ids.order_line_ids.billing_milestone_id = other.milestone_ids

    def test_a_milestone_stays_with_its_order(self):
        order, other = self._create_contract([100.0], confirm=False), self._create_contract([1.0], confirm=False)
        with self.assertRefused("stays with its order"):
            order.milestone_ids.order_id = other

    def _create_assigned(self, *groups):
        """Make a quotation with a line per amount, put under milestones A and B; see it in its form then."""
        prices = {"First": 500.0, "Second": 3000.0, "Third": 333.33}
        order = self._create_contract(
            [{"name": "A"}, {"name": "B"}],
            confirm=False,
            lines=[
                {
                    "name": name,
                    "product_id": self.milestone_product.id,
                    "price_unit": price,
                    "technical_price_unit": 0.0,
                }
                for name, price in prices.items()
            ],
        )
        for milestone, names in zip(order.milestone_ids, groups, strict=False):
            for line in order.order_line.filtered(lambda line, names=names: line.name in names):
                line.billing_milestone_id = milestone
        self.env.flush_all()
        self.env.invalidate_all()
        return order

    def _edit_line(self, form, name, **values):
        names = [line["name"] for line in form.order_line._records]
        with form.order_line.edit(names.index(name)) as line:
            for field, value in values.items():
                setattr(line, field, value)

    def test_what_is_edited_in_one_go_keeps_its_prices(self):
        """Lines change their milestones, quantities and prices in the form before it is saved, in any order."""
        none = self.env["sale.milestone"]
        edits = {
            "a line each": ((), lambda a, b: [("First", a, {}), ("Second", b, {})]),
            "two lines into one": ((), lambda a, b: [("First", a, {}), ("Second", a, {})]),
            "one, then the other": ((), lambda a, b: [("First", a, {}), ("First", b, {})]),
            "swapped": ((("First",), ("Second",)), lambda a, b: [("First", b, {}), ("Second", a, {})]),
            "assigned and more of it": ((), lambda a, b: [("First", a, {}), ("First", a, {"product_uom_qty": 2})]),
            "assigned and more of another": (
                (),
                lambda a, b: [("First", a, {}), ("Third", none, {"product_uom_qty": 2})],
            ),
            "more of one, the other out": (
                (("First", "Third"), ("Second",)),
                lambda a, b: [("First", a, {"product_uom_qty": 2}), ("Third", none, {})],
            ),
            "the other out, more of one": (
                (("First", "Third"), ("Second",)),
                lambda a, b: [("Third", none, {}), ("First", a, {"product_uom_qty": 2})],
            ),
            "one moved, the price of the other": (
                (("First",), ("Second",)),
                lambda a, b: [("First", b, {}), ("Second", b, {"price_unit": 900.0})],
            ),
        }
        for name, (groups, edit) in edits.items():
            with self.subTest(name):
                order = self._create_assigned(*groups)
                prices = {line.name: line.price_unit for line in order.order_line if not line.display_type}
                with Form(order) as form:
                    for line, milestone, values in edit(*order.milestone_ids):
                        self._edit_line(form, line, billing_milestone_id=milestone, **values)
                        prices[line] = values.get("price_unit", prices[line])
                    shown = form.amount_untaxed
                self.env.invalidate_all()
                lines = order.order_line.filtered(lambda line: not line.display_type)
                self.assertEqual({line.name: line.price_unit for line in lines}, prices)
                self.assertEqual(order.amount_untaxed, shown)
                for milestone in order.milestone_ids:
                    of_it = lines.filtered(lambda line, milestone=milestone: line.billing_milestone_id == milestone)
                    self.assertMoney(order.currency_id, milestone.amount_untaxed, sum(of_it.mapped("price_subtotal")))

    def test_a_typed_amount_stays_when_a_line_is_edited_in_one_go_with_it(self):
        order = self._create_assigned(("First",), ("Second",))
        with Form(order) as form:
            with form.milestone_ids.edit(0) as milestone:
                milestone.amount_untaxed = 777.0
            with form.milestone_ids.new() as milestone:
                milestone.name = "C"
                milestone.amount_untaxed = 50.0
            self._edit_line(form, "Second", price_unit=400.0)
            self._edit_line(form, "Third", product_uom_qty=3.0)
        self.env.invalidate_all()
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [777.0, 400.0, 50.0])
        self.assertEqual(order.amount_untaxed, 777.0 + 400.0 + 50.0 + 999.99)

    def test_a_salesperson_plans_in_the_form_of_the_milestone(self):
        order = self._create_contract([], confirm=False)
        milestones = self.env["sale.milestone"].with_user(self.users["salesperson"])
        form = Form(milestones.with_context(default_order_id=order.id))
        form.name = "Design"
        form.amount_untaxed = 333.33
        milestone = form.save()
        self.assertEqual(order.amount_untaxed, 333.33)
        self.assertEqual(milestone.order_line_ids.price_subtotal, 333.33)

    def test_a_salesperson_plans_in_the_order(self):
        with Form(self.env["sale.order"].with_user(self.users["salesperson"])) as form:
            form.partner_id = self.client_company
            if "milestone_ids" not in form._view["fields"]:
                self.skipTest("the order has no Milestones tab yet")
            for number, amount in enumerate((100.0, 200.0), 1):
                with form.milestone_ids.new() as milestone:
                    milestone.name = f"Phase {number}"
                    milestone.amount_untaxed = amount
        order = form.record
        self.assertEqual(order.amount_untaxed, 300.0)
        self.assertEqual(self._layout(order), ["[Phase 1]", "Phase 1", "[Phase 2]", "Phase 2"])

    def test_no_milestone_joins_a_confirmed_order(self):
        order = self._create_contract([100.0])
        with self.assertRefused("agreed with the client"):
            order.milestone_ids = [Command.create({"name": "Late", "amount_untaxed": 1.0})]

    def test_a_plan_can_be_imported_and_protected_columns_cannot(self):
        order = self._create_contract([], confirm=False)
        fields = ["name", "order_id/.id", "amount_untaxed", "contract_date"]
        rows = [["First", str(order.id), "100.5", "2031-01-31"], ["Second", str(order.id), "200", ""]]
        result = self.env["sale.milestone"].load(fields, rows)
        self.assertFalse([message for message in result["messages"] if message["type"] == "error"], result)
        self.assertEqual(order.amount_untaxed, 300.5)
        for column, value in (("state", "Approved"), ("billing_state", "Paid"), ("approved_on", "2031-01-01")):
            with self.subTest(column=column):
                result = self.env["sale.milestone"].load(
                    ["name", "order_id/.id", column], [["Sly", str(order.id), value]]
                )
                self.assertFalse(result["ids"])
        self.assertNotIn("Sly", order.milestone_ids.mapped("name"))

    def test_a_thousand_milestones_are_planned_in_one_go(self):
        with self.assertQueryCount(900):
            order = self._create_contract([10.0] * 200, confirm=False)
            self.env.flush_all()
        self.assertEqual(order.amount_untaxed, 2000.0)

    def test_an_employee_without_sales_rights_plans_nothing(self):
        order = self._create_contract([100.0], confirm=False)
        with self.assertRaises(AccessError):
            order.milestone_ids.with_user(self.users["employee"]).name = "Mine"
