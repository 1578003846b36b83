from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestTemplate(MilestoneCommon):
    """Plans that are written down once and used on many quotations."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.template = cls._create_template([("Analysis", 20.0), ("Design", 30.0), ("Build", 50.0)])
        cls.analysis, cls.design, cls.build = cls.template.line_ids
        cls.design.predecessor_ids = cls.analysis
        cls.build.predecessor_ids = cls.analysis | cls.design
        cls.analysis.write(
            {
                "description": "<p>Two workshops</p>",
                "deliverable_ids": [Command.create({"name": "Paper", "acceptance_criteria": "Ten pages"})],
            }
        )
        cls.consulting = cls._create_product(
            name="Consulting", type="service", lst_price=1000.0, taxes_id=[Command.set(cls.tax_15.ids)]
        )
        cls.salesperson = cls.users["salesperson"]

    @classmethod
    def _create_template(cls, shares, **values):
        """:param shares: (name, percentage), or (name, None, fixed amount)"""
        return cls.env["sale.milestone.template"].create(
            {
                "name": "Template",
                "skip_days_off": False,
                "line_ids": [
                    Command.create(
                        {
                            "sequence": number,
                            "name": share[0],
                            "amount_type": "amount" if len(share) > 2 else "percentage",
                            "percentage": share[1] or 0.0,
                            "amount": share[2] if len(share) > 2 else 0.0,
                            "delay_number": 1,
                            "delay_unit": "month",
                        }
                    )
                    for number, share in enumerate(shares, 1)
                ],
                **values,
            }
        )

    @classmethod
    def _create_quotation(cls, **values):
        lines = values.pop("lines", [{"product_id": cls.consulting.id}])
        return cls._create_contract([], confirm=False, lines=lines, **values)

    # -- the template itself ---------------------------------------------------------------------------

    def test_percentages_sum_to_one_hundred(self):
        with self.assertRefused(r"sum to 90 %, not to 100 %: 10 % are missing", ValidationError):
            self._create_template([("A", 40.0), ("B", 50.0)])
        with self.assertRefused(r"sum to 100\.01 %.*0\.01 % are too much", ValidationError):
            self.template.line_ids = [Command.update(self.build.id, {"percentage": 50.01})]
        self.template.line_ids = [
            Command.update(self.build.id, {"percentage": 40.0}),
            Command.update(self.design.id, {"percentage": 40.0}),
        ]
        self.assertEqual(self.template.percentage_total, 100.0)
        self._create_template([("A", 33.33333), ("B", 33.33333), ("C", 33.33334)])

    def test_every_milestone_has_a_share(self):
        with self.assertRefused("A has no share", ValidationError):
            self._create_template([("A", 0.0), ("B", 100.0)])
        with self.assertRefused("A has no share", ValidationError):
            self._create_template([("A", None, 0.0), ("B", 100.0)])

    def test_the_next_row_proposes_what_is_missing(self):
        form = Form(self.env["sale.milestone.template"].with_user(self.users["sale_manager"]))
        form.name = "Two halves"
        for name in ("A", "B"):
            with form.line_ids.new() as line:
                line.name = name
                line.percentage = 50.0 if name == "A" else line.percentage
        self.assertEqual(form.save().line_ids.mapped("percentage"), [50.0, 50.0])

    def test_a_delay_is_at_most_a_hundred_years(self):
        for unit, number in (("day", 36500), ("week", 5200), ("month", 1200)):
            with self.subTest(unit=unit):
                self.build.write({"delay_unit": unit, "delay_number": number})
                with self.assertRefused("Build comes later than a hundred years.*shorter delay", ValidationError):
                    self.build.delay_number = number + 1
        self.build.delay_unit = "day"
        with self.assertRefused("shorter delay", ValidationError):
            self.build.write({"delay_unit": "week", "delay_number": 36500})
        with self.assertRefused("shorter delay", ValidationError):
            self.build.delay_number = 2000000000

    def test_delays_that_end_after_the_calendar_do_not_keep_from_saving(self):
        self.env.flush_all()
        # as it was saved before delays were limited
        self.env.cr.execute(
            "UPDATE sale_milestone_template_line SET delay_number = 2000000000 WHERE id = %s", self.build.ids
        )
        self.build.invalidate_recordset()
        for unit in ("day", "week", "month"):
            with self.subTest(unit=unit):
                self.env.cr.execute(
                    "UPDATE sale_milestone_template_line SET delay_unit = %s WHERE id = %s", [unit, self.build.id]
                )
                self.build.invalidate_recordset()
                order = self._create_quotation(milestone_template_id=self.template.id)
                self.assertFalse(order.milestone_ids)
                self.assertIn("dates after the year 9999", order.message_ids[0].body)

    def test_predecessors_stay_in_the_template_and_go_in_no_circle(self):
        with self.assertRefused("wait for each other: Analysis → Build → Analysis. .*column After", ValidationError):
            self.analysis.predecessor_ids = self.build
        self.build.predecessor_ids = self.design
        with self.assertRefused("Analysis → Design → Build → Analysis", ValidationError):
            self.analysis.predecessor_ids = self.build
        with self.assertRefused("Build → Build", ValidationError):
            self.build.predecessor_ids += self.build
        other = self._create_template([("Other", 100.0)]).line_ids
        with self.assertRefused("can only follow milestones of its template", ValidationError):
            other.predecessor_ids = self.build

    def test_dependencies_are_turned_round_in_one_save(self):
        template = self.template.with_user(self.users["sale_manager"])
        with Form(template) as form:
            with form.line_ids.edit(0) as line:
                line.predecessor_ids.add(self.design)
            with form.line_ids.edit(1) as line:
                line.predecessor_ids.clear()
        self.assertEqual((self.analysis.predecessor_ids, self.design.predecessor_ids.ids), (self.design, []))
        with self.assertRefused("wait for each other", ValidationError), Form(template) as form:
            with form.line_ids.edit(1) as line:
                line.predecessor_ids.add(self.analysis)

    def test_a_copy_follows_itself(self):
        copy = self.template.copy()
        analysis, design, build = copy.line_ids
        self.assertEqual(copy.name, "Template (copy)")
        self.assertEqual(design.predecessor_ids, analysis)
        self.assertEqual(build.predecessor_ids, analysis | design)
        self.assertEqual(analysis.deliverable_ids.acceptance_criteria, "Ten pages")
        self.assertEqual(self.build.predecessor_ids, self.analysis | self.design)

    def test_sales_managers_write_and_salespeople_read(self):
        template = self.template.with_user(self.salesperson)
        self.assertEqual(template.line_ids.mapped("name"), ["Analysis", "Design", "Build"])
        for refused in (
            lambda: template.write({"name": "Mine"}),
            lambda: template.line_ids[0].write({"percentage": 1.0}),
            lambda: template.line_ids.deliverable_ids.write({"name": "Mine"}),
            lambda: template.copy(),
        ):
            with self.assertRaises(AccessError):
                refused()
        self.template.with_user(self.users["sale_manager"]).name = "Ours"
        with self.assertRaises(AccessError):
            self.template.with_user(self.users["employee"]).read(["name"])

    def test_templates_of_another_company_are_out_of_sight(self):
        other = self.env["res.company"].create({"name": "Other"})
        hidden = self.template.copy({"company_id": other.id})
        seen = self.env["sale.milestone.template"].with_user(self.salesperson).search([])
        self.assertIn(self.template, seen)
        self.assertNotIn(hidden, seen)
        with self.assertRaises(AccessError):
            hidden.line_ids.with_user(self.salesperson).read(["name"])

    # -- on a quotation ----------------------------------------------------------------------------------

    def test_dates_count_from_the_order_and_from_each_other(self):
        self.build.delay_from = "order"
        self.design.delay_from = "none"
        self.assertEqual(self.template._get_dates(date(2027, 1, 31)), [date(2027, 2, 28), None, date(2027, 2, 28)])

    def test_days_off_are_skipped(self):
        self.template.skip_days_off = True
        calendar = self.company.resource_calendar_id
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Monday off",
                "calendar_id": calendar.id,
                "company_id": self.company.id,
                "date_from": "2027-03-01 00:00:00",
                "date_to": "2027-03-01 23:59:59",
            }
        )
        order = self._create_quotation()
        # 28 February 2027 is a Sunday
        order._apply_milestone_template(self.template, date(2027, 1, 28))
        self.assertEqual(
            order.milestone_ids.mapped("contract_date"), [date(2027, 3, 2), date(2027, 3, 29), date(2027, 4, 28)]
        )

    def test_without_a_calendar_weekends_are_off(self):
        self.company.resource_calendar_id = False
        order = self._create_quotation()
        self.assertEqual(
            order._move_to_working_days([date(2027, 1, 2), None, date(2027, 1, 4)]),
            [date(2027, 1, 4), None, date(2027, 1, 4)],
        )

    def test_fixed_amounts_first_percentages_of_the_rest(self):
        template = self._create_template([("Set up", None, 100.0), ("A", 50.0), ("B", 50.0)])
        order = self._create_quotation(lines=[{"product_id": self.consulting.id, "price_unit": 1000.01}])
        order._apply_milestone_template(template)
        self.assertEqual(sorted(order.milestone_ids.mapped("amount_untaxed")), [100.0, 450.0, 450.01])
        self.assertEqual(order.milestone_ids[0].amount_untaxed, 100.0)
        self.assertEqual(order.amount_untaxed, 1000.01)

    def test_fixed_amounts_of_another_currency(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": euro.id, "rate": 2.0, "name": "2020-01-01", "company_id": self.company.id}
        )
        template = self._create_template([("Set up", None, 100.0), ("Rest", 100.0)])
        order = self._create_quotation(currency=euro, lines=[{"product_id": self.consulting.id, "price_unit": 1000.0}])
        order._apply_milestone_template(template)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 800.0])

    def test_fixed_amounts_of_a_price_that_is_rounded_as_a_whole(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        line = {"product_id": self.consulting.id, "price_unit": 10.0, "tax_ids": self.tax_15_included.ids}
        order = self._create_quotation(lines=[line] * 3)
        order._apply_milestone_template(self._create_template([("Set up", None, 5.0), ("Rest", 100.0)]))
        self.assertEqual(order.amount_untaxed, 26.09, "and not three times 8.70")
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [5.0, 21.09])

    def test_fixed_amounts_beyond_the_price(self):
        template = self._create_template([("Set up", None, 1000.0), ("Rest", 100.0)])
        with self.assertRefused(r"fixed amounts of Template are .*1,000\.00.*nothing is left"):
            self._create_quotation()._apply_milestone_template(template)

    def test_an_empty_template_makes_no_plan(self):
        with self.assertRefused("has no milestones yet"):
            self._create_quotation()._apply_milestone_template(self._create_template([]))

    def test_milestones_take_scope_deliverables_and_predecessors(self):
        order = self._create_quotation()
        order._apply_milestone_template(self.template)
        analysis, design, build = order.milestone_ids
        self.assertEqual(analysis.description, "<p>Two workshops</p>")
        self.assertEqual(analysis.deliverable_ids.acceptance_criteria, "Ten pages")
        self.assertEqual(build.predecessor_ids, analysis | design)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0])

    # -- quotation templates ---------------------------------------------------------------------------

    def _create_quotation_template(self):
        return self.env["sale.order.template"].create(
            {
                "name": "Project",
                "milestone_template_id": self.template.id,
                "sale_order_template_line_ids": [Command.create({"product_id": self.consulting.id})],
            }
        )

    def _fill_in(self, quotation_template):
        form = Form(self.env["sale.order"].with_user(self.salesperson))
        form.partner_id = self.client_company
        form.sale_order_template_id = quotation_template
        return form

    def test_a_quotation_template_plans_new_quotations(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        order = self._fill_in(self._create_quotation_template()).save()
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0])
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_a_quotation_template_plans_once(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        order = self._fill_in(self._create_quotation_template()).save()
        order._clear_milestone_plan()
        with Form(order) as form:
            form.client_order_ref = "Mine"
        self.assertFalse(order.milestone_ids)
        self.assertFalse(order.copy().milestone_ids)

    def test_another_quotation_template_plans_anew(self):
        """It replaces the order lines, and with them the plan that a template made of them; no other plan."""
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        first, other, plain = (self._create_quotation_template() for _each in range(3))
        other.milestone_template_id = self._create_template([("Gamma", 40.0), ("Delta", 60.0)])
        plain.milestone_template_id = False
        order = self._fill_in(first).save()
        with Form(order) as form:
            form.sale_order_template_id = other
        self.assertEqual(order.milestone_ids.mapped("name"), ["Gamma", "Delta"])
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [400.0, 600.0])
        self.assertEqual(order.milestone_template_id, other.milestone_template_id)
        with Form(order) as form:
            form.client_order_ref = "Mine"
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [400.0, 600.0])
        with Form(order) as form, self.assertLogs("odoo.tests.form.onchange", "WARNING") as log:
            form.sale_order_template_id = plain
        self.assertIn("have no amounts any more", log.output[0])
        self.assertEqual(order.milestone_ids.mapped("name"), ["Gamma", "Delta"])
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [0.0, 0.0])

    def test_another_quotation_template_of_the_same_plan_plans_anew(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        nothing = self.env["sale.order.template"]
        small, large, plain = (self._create_quotation_template() for _each in range(3))
        large.sale_order_template_line_ids = [Command.create({"product_id": self.consulting.id})]
        plain.milestone_template_id = False
        order = self._fill_in(small).save()
        for path, amounts in (
            ([large], [400.0, 600.0, 1000.0]),
            ([small, large], [400.0, 600.0, 1000.0]),
            ([nothing, large], [400.0, 600.0, 1000.0]),
        ):
            with Form(order) as form:
                for quotation_template in path:
                    form.sale_order_template_id = quotation_template
            self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), amounts, path)
        with Form(order) as form, self.assertLogs("odoo.tests.form.onchange", "WARNING"):
            form.sale_order_template_id = plain
            form.sale_order_template_id = small
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0])
        with Form(order) as form:
            form.sale_order_template_id = nothing
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0], "its lines are kept")
        with Form(order) as form:
            form.sale_order_template_id = large
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [400.0, 600.0, 1000.0])

    def test_a_plan_that_was_undone_comes_with_the_next_quotation_template(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        order = self._fill_in(self._create_quotation_template()).save()
        order._clear_milestone_plan()
        with Form(order) as form:
            form.sale_order_template_id = self._create_quotation_template()
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0])

    def test_who_may_not_plan_may_choose_a_quotation_template(self):
        order = self._create_quotation(milestone_template_id=self.template.id)
        quotation_template = self._create_quotation_template()
        order.with_user(self.users["invoicing"]).sale_order_template_id = quotation_template
        self.assertEqual(order.sale_order_template_id, quotation_template)

    def test_options_of_a_quotation_template_stay_options(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        quotation_template = self._create_quotation_template()
        quotation_template.sale_order_template_line_ids = [
            Command.create({"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 20}),
            Command.create({"product_id": self.consulting.id, "sequence": 21}),
        ]
        order = self._fill_in(quotation_template).save()
        order.action_quotation_sent()
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [200.0, 300.0, 500.0])
        option = order.order_line.filtered(lambda line: line._can_be_edited_on_portal())
        self.assertRecordValues(option, [{"price_subtotal": 1000.0, "billing_milestone_id": False}])

    def test_a_quotation_template_leaves_a_plan_alone(self):
        self.salesperson.group_ids |= self.env.ref("sale_management.group_sale_order_template")
        form = self._fill_in(self._create_quotation_template())
        with form.milestone_ids.new() as milestone:
            milestone.name = "Mine"
            milestone.amount_untaxed = 50.0
        self.assertEqual(form.save().milestone_ids.mapped("name"), ["Mine"])
        form = Form(self._create_quotation(milestone_ids=[Command.create({"name": "Mine"})]))
        form.sale_order_template_id = self._create_quotation_template()
        self.assertEqual(form.save().milestone_ids.mapped("name"), ["Mine"])

    def test_a_template_that_does_not_fit_does_not_keep_from_saving(self):
        self.template.line_ids[0].write({"amount_type": "amount", "amount": 5000.0})
        self.template.line_ids[1].percentage = 50.0
        order = self._create_quotation(milestone_template_id=self.template.id)
        self.assertFalse(order.milestone_ids)
        self.assertIn("nothing is left", order.message_ids[0].body)
        self.assertEqual(order.order_line.price_unit, 1000.0)

    def test_nobody_plans_by_a_template_on_a_confirmed_order(self):
        order = self._create_quotation()
        order.action_confirm()
        order.milestone_template_id = self.template
        self.assertFalse(order.milestone_ids)

    # -- from an order -----------------------------------------------------------------------------------

    @freeze_time("2027-01-04")
    def test_a_plan_becomes_a_template_and_a_plan_again(self):
        order = self._create_quotation(lines=[{"product_id": self.consulting.id, "price_unit": 1000.01}])
        thirds = self._create_template([("A", 100 / 3), ("B", 100 / 3), ("C", 100 / 3)])
        thirds.line_ids[1].write({"delay_number": 10, "delay_unit": "day"})
        thirds.line_ids[2].delay_from = "none"
        thirds.line_ids[1].predecessor_ids = thirds.line_ids[0]
        order._apply_milestone_template(thirds, date(2027, 1, 4))
        order.milestone_ids[0].deliverable_ids = [Command.create({"name": "Paper", "acceptance_criteria": "Short"})]
        action = order.with_user(self.users["sale_manager"]).action_save_milestone_template()
        template = self.env["sale.milestone.template"].browse(action["res_id"])
        self.assertEqual(template.percentage_missing, 0.0)
        self.assertEqual(template.line_ids.mapped("delay_unit"), ["month", "day", "week"])
        self.assertEqual(template.line_ids.mapped("delay_from"), ["order", "previous", "none"])
        again = self._create_quotation(lines=[{"product_id": self.consulting.id, "price_unit": 1000.01}])
        again._apply_milestone_template(template, date(2027, 1, 4))
        for name in ("name", "amount_untaxed", "amount_total", "contract_date", "description"):
            self.assertEqual(again.milestone_ids.mapped(name), order.milestone_ids.mapped(name))
        self.assertEqual(again.milestone_ids.deliverable_ids.mapped("acceptance_criteria"), ["Short"])
        self.assertEqual(again.milestone_ids[1].predecessor_ids, again.milestone_ids[0])

    @freeze_time("2027-01-04")
    def test_a_template_of_a_plan_keeps_dates_that_go_back(self):
        order = self._create_quotation()
        order._apply_milestone_template(self.template)
        dates = [date(2027, 3, 31), date(2027, 1, 31), date(2027, 2, 28)]
        for milestone, day in zip(order.milestone_ids, dates, strict=True):
            milestone.contract_date = day
        action = order.with_user(self.users["sale_manager"]).action_save_milestone_template()
        template = self.env["sale.milestone.template"].browse(action["res_id"])
        self.assertEqual(template.line_ids.mapped("delay_from"), ["order", "order", "previous"])
        self.assertEqual(template._get_dates(date(2027, 1, 4)), dates)
        order.milestone_ids[1].contract_date = date(2026, 12, 31)  # before the order
        action = order.with_user(self.users["sale_manager"]).action_save_milestone_template()
        template = self.env["sale.milestone.template"].browse(action["res_id"])
        self.assertEqual(template.line_ids.mapped("delay_from"), ["order", "none", "order"])

    def test_who_may_save_a_template(self):
        order = self._create_quotation()
        with self.assertRefused("complete the plan"):
            order.action_save_milestone_template()
        order._apply_milestone_template(self.template)
        with self.assertRaises(AccessError):
            order.with_user(self.salesperson).action_save_milestone_template()
