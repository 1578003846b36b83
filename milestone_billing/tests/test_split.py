import os
import random

from odoo.fields import Command
from odoo.tests import tagged

from ..models.sale_order_line_split import IDLE_VALUES, QUANTITY_FIELDS, SHARED_FIELDS
from ..tools.apportion import apportion, spread
from .common import MilestoneCommon

ROUNDING_METHODS = ("round_per_line", "round_globally")
AMOUNTS = ("amount_untaxed", "amount_tax", "amount_total")
LINE_FIELDS = (
    "id",
    "sequence",
    "name",
    "product_id",
    "product_uom_id",
    "product_uom_qty",
    "price_unit",
    "technical_price_unit",
    "discount",
    "tax_ids",
    "extra_tax_data",
    "billing_milestone_id",
    "milestone_source_id",
    "milestone_source_values",
    "price_subtotal",
    "price_tax",
    "price_total",
    "analytic_distribution",
)


class SplitCommon(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._set_up_currencies_and_taxes()
        cls.tax_compound = cls.env["account.tax"].create(
            {"name": "5 % on which others are due", "amount": 5.0, "include_base_amount": True, "sequence": 0}
        )
        cls.tax_reverse = cls.env["account.tax"].create(
            {
                "name": "19 % reverse charge",
                "amount": 19.0,
                **{
                    f"{document}_repartition_line_ids": [
                        Command.create({"repartition_type": "base"}),
                        Command.create({"repartition_type": "tax", "factor_percent": 100.0}),
                        Command.create({"repartition_type": "tax", "factor_percent": -100.0}),
                    ]
                    for document in ("invoice", "refund")
                },
            }
        )
        cls.hour = cls.quick_ref("uom.product_uom_hour")
        cls.unit = cls.quick_ref("uom.product_uom_unit")
        cls.hours = cls._create_product(
            name="Consulting",
            type="service",
            uom_id=cls.hour.id,
            lst_price=100.0,
            taxes_id=[Command.set(cls.tax_15.ids)],
        )
        cls.goods = cls._create_product(name="Server", type="consu", lst_price=500.0, invoice_policy="order")

    def _create_quotation(self, *lines, **values):
        return self._create_contract([], confirm=False, lines=lines, **values)

    def _line(self, price=1000.0, taxes=None, item=None, **values):
        taxes = self.tax_15 if taxes is None else taxes
        return {
            "product_id": (item or self.milestone_product).id,
            "price_unit": price,
            "tax_ids": [Command.set(taxes.ids)],
            **values,
        }

    def _section(self, name):
        return {"display_type": "line_section", "name": name, "product_uom_qty": 0}

    def _read_lines(self, order):
        return self._read(order.order_line, LINE_FIELDS)

    def _read(self, records, names):
        """Return what the database has."""
        self.env.flush_all()
        self.env.invalidate_all()
        return records.read(names)

    def _priced(self, order):
        return order.order_line.filtered(lambda line: not line.display_type)


@tagged("post_install", "-at_install")
class TestApportion(SplitCommon):
    """The arithmetic of whole units, without any order."""

    def test_tables_are_exact_in_rows_and_columns(self):
        rng = random.Random(7)
        for _number in range(300):
            totals = [rng.randint(-5000, 20000) for _row in range(rng.randint(1, 7))]
            weights = [rng.randint(1, 10 ** rng.randint(1, 12)) for _column in range(rng.randint(1, 14))]
            whole = sum(weights)
            table = apportion(totals, weights)
            for total, parts in zip(totals, table, strict=True):
                self.assertEqual(sum(parts), total)
                for part, weight in zip(parts, weights, strict=True):
                    self.assertIn(part, (total * weight // whole, -(-total * weight // whole)))
            for column, weight in enumerate(weights):
                nominal = sum(totals) * weight
                self.assertIn(sum(parts[column] for parts in table), (nominal // whole, -(-nominal // whole)))
            self.assertEqual(sum(spread(totals[0], weights)), totals[0])

    def test_amounts_that_fit_are_met_exactly(self):
        table = apportion([333, 333, 334], [1, 499, 500])
        self.assertEqual([sum(column) for column in zip(*table, strict=True)], [1, 499, 500])


@tagged("post_install", "-at_install")
class TestSplit(SplitCommon):
    """An order is divided into milestones: every amount is kept, and the division can be undone."""

    def test_quantities_are_divided_where_they_stay_whole(self):
        order = self._create_quotation(self._line(100.0, item=self.hours, product_uom_qty=40))
        source = self._priced(order)
        milestones = order._split_into_milestones([30, 30, 40])
        lines = milestones.order_line_ids
        self.assertEqual(lines.mapped("product_uom_qty"), [12.0, 12.0, 16.0])
        self.assertEqual(set(lines.mapped("price_unit")), {100.0})
        self.assertEqual(lines.product_uom_id, self.hour)
        self.assertEqual(set(lines.mapped("name")), {source.name})
        self.assertEqual(lines.milestone_source_id, source)
        self.assertEqual(milestones.mapped("name"), ["Milestone 1", "Milestone 2", "Milestone 3"])
        self.assertEqual(milestones.mapped("amount_untaxed"), [1200.0, 1200.0, 1600.0])
        self.assertEqual(milestones.mapped("amount_total"), [1380.0, 1380.0, 1840.0])

    def test_otherwise_each_share_is_one_unit_that_says_what_it_is(self):
        order = self._create_quotation(self._line(100.0, item=self.hours, product_uom_qty=7, name="Consulting"))
        lines = order._split_into_milestones([12.5, 87.5]).order_line_ids
        self.assertEqual(lines.mapped("name"), ["Consulting\n12.5 % of 7 Hours", "Consulting\n87.5 % of 7 Hours"])
        self.assertEqual(lines.mapped("price_unit"), [87.5, 612.5])
        self.assertEqual(lines.product_uom_id, self.unit)
        order = self._create_quotation(self._line(100_000.0, name="Website"))
        lines = order._split_into_milestones([12.5, 87.5]).order_line_ids
        self.assertEqual(lines.mapped("name"), ["Website\n12.5 %", "Website\n87.5 %"])
        self.assertEqual(lines.mapped("product_uom_qty"), [1.0, 1.0], "half a website is not sold")

    def test_discounts_are_kept(self):
        order = self._create_quotation(self._line(1000.0, discount=12.34), self._line(77.77, discount=33.33))
        lines = order._split_into_milestones([100 / 3] * 3).order_line_ids
        self.assertEqual(sorted(lines.mapped("discount")), [12.34] * 3 + [33.33] * 3)
        for line in lines:
            net = line.price_unit * line.product_uom_qty * (1 - line.discount / 100)
            self.assertMoney(order.currency_id, order.currency_id.round(net), line.price_subtotal)

    def test_accounting_stays_with_each_line(self):
        account = self.env["account.analytic.account"].create(
            {"name": "Job", "plan_id": self.env["account.analytic.plan"].create({"name": "Jobs"}).id}
        )
        order = self._create_quotation(
            self._line(analytic_distribution={str(account.id): 100.0}), self._line(500.0, self.tax_20, self.hours)
        )
        for milestone in order._split_into_milestones([50, 50]):
            first, second = milestone.order_line_ids
            self.assertEqual((first.product_id, second.product_id), (self.milestone_product, self.hours))
            self.assertEqual((first.tax_ids, second.tax_ids), (self.tax_15, self.tax_20))
            self.assertEqual(first.analytic_distribution, {str(account.id): 100.0})

    def test_thirds_within_a_cent_in_a_column_of_lines(self):
        order = self._create_quotation(*[self._line(100.0)] * 10)
        for milestone in order._split_into_milestones([100 / 3] * 3):
            self.assertAlmostEqual(milestone.amount_untaxed, 1000 / 3, delta=0.01)
            self.assertAlmostEqual(milestone.amount_tax, 50, delta=0.01)

    def test_amounts_are_met_over_all_lines(self):
        order = self._create_quotation(self._line(333.33), self._line(333.33, self.tax_20), self._line(333.34))
        milestones = order._split_into_milestones(amounts=[0.10, 499.90, 500.0])
        self.assertEqual(milestones.mapped("amount_untaxed"), [0.10, 499.90, 500.0])

    def test_own_milestones_and_goods_assigned_whole(self):
        order = self._create_quotation(self._line(), self._line(500.0, item=self.goods))
        goods = order.order_line.filtered(lambda line: line.product_id == self.goods)
        milestones = self.env["sale.milestone"].create(
            [{"order_id": order.id, "name": name, "sequence": number} for number, name in enumerate("AB")]
        )
        self.assertEqual(order._split_into_milestones([40, 60], milestones, whole={goods: milestones[1]}), milestones)
        self.assertEqual(milestones.mapped("amount_untaxed"), [400.0, 1100.0])
        order._undo_milestone_split(remove_milestones=False)
        self.assertFalse(goods.billing_milestone_id)
        self.assertEqual(order.milestone_ids, milestones)
        order._split_into_milestones([40, 60], milestones, whole={goods: 0})
        self.assertEqual(milestones.mapped("amount_untaxed"), [900.0, 600.0])

    def test_the_preview_is_what_is_made(self):
        for method in ROUNDING_METHODS:
            self.company.tax_calculation_rounding_method = method
            order = self._create_quotation(
                self._line(100.33), self._line(77.77, self.tax_20_included), self._line(10.0, self.tax_reverse)
            )
            preview = order._preview_milestone_split([12.5, 37.5, 50])
            for milestone, share in zip(order._split_into_milestones([12.5, 37.5, 50]), preview, strict=True):
                self.assertMoney(order.currency_id, milestone.amount_untaxed, share["untaxed"])
                self.assertMoney(order.currency_id, milestone.amount_tax, share["tax"])
                self.assertMoney(order.currency_id, milestone.amount_total, share["total"])

    def test_the_preview_follows_unfinished_typing(self):
        order = self._create_quotation(self._line(100.0))
        self.assertEqual([share["untaxed"] for share in order._preview_milestone_split([10, 20])], [10.0, 20.0])
        self.assertEqual([share["untaxed"] for share in order._preview_milestone_split([90, 0, 20])], [90.0, 0.0, 20.0])
        self.assertEqual([share["untaxed"] for share in order._preview_milestone_split(amounts=[30, 20])], [30.0, 20.0])
        self.assertEqual(order._preview_milestone_split([]), [])
        self.assertEqual(self._create_quotation()._preview_milestone_split([100])[0]["total"], 0.0)
        self.assertFalse(order.milestone_ids)

    # -- undone, done again, copied, changed ---------------------------------------------------------

    def test_undone_the_lines_are_what_they_were(self):
        for method in ROUNDING_METHODS:
            self.company.tax_calculation_rounding_method = method
            order = self._create_quotation(
                self._section("Work"),
                self._line(100.0, item=self.hours, product_uom_qty=40, discount=10.0),
                self._section("More"),
                self._line(33.335, self.tax_20_included),
                self._line(500.335, item=self.goods),
            )
            before, agreed = self._read_lines(order), [order[name] for name in AMOUNTS]
            order._split_into_milestones([30, 30, 40])
            order._undo_milestone_split()
            self.assertEqual(self._read_lines(order), before)
            self.assertFalse(order.milestone_ids)
            order._split_into_milestones([50, 50])
            self.assertEqual([order[name] for name in AMOUNTS], agreed)

    def test_a_copy_can_be_undone_too(self):
        order = self._create_quotation(self._section("Work"), self._line(100.0), self._line(33.33))
        order._split_into_milestones([100 / 3] * 3)
        order.action_confirm()
        copy = order.copy()
        shares = copy.order_line.filtered("milestone_source_id")
        self.assertEqual(len(shares), 6)
        self.assertEqual(shares.milestone_source_id.order_id, copy)
        for milestone, copied in zip(order.milestone_ids, copy.milestone_ids, strict=True):
            self.assertEqual([milestone[name] for name in AMOUNTS], [copied[name] for name in AMOUNTS])
        copy._undo_milestone_split()
        self.assertEqual(self._priced(copy).mapped("price_unit"), [100.0, 33.33])
        self.assertEqual(len(order.order_line.filtered("milestone_source_id")), 6)

    def test_lines_of_a_copy_come_back_to_their_places(self):
        order = self._create_quotation(
            self._section("Work"),
            self._line(100.0, name="Website"),
            self._section("More"),
            self._line(33.33, name="Training"),
            self._line(500.335, item=self.goods, name="Server"),
        )
        order.order_line.sequence = 10
        names = [line.name for line in order.order_line.sorted(lambda line: (line.sequence, line.id))]
        order._split_into_milestones([50, 50])
        copy = order.copy()
        for quotation in (order, copy, copy.copy()):
            quotation._undo_milestone_split()
            lines = quotation.order_line.sorted(lambda line: (line.sequence, line.id))
            self.assertEqual(lines.mapped("name"), names)

    def test_when_the_divided_line_is_deleted_its_next_share_remembers(self):
        order = self._create_quotation(self._line(100.0, name="Website"))
        first, second, third = order._split_into_milestones([20, 30, 50]).order_line_ids
        first.unlink()
        self.assertEqual((second | third).milestone_source_id, second)
        order._undo_milestone_split()
        self.assertEqual(self._priced(order), second)
        self.assertEqual((second.name, second.price_subtotal), ("Website", 100.0))

    def test_a_removed_milestone_leaves_its_shares_free(self):
        order = self._create_quotation(self._line(100.0))
        milestones = order._split_into_milestones([20, 80])
        milestones[0].unlink()
        self.assertEqual(order.amount_untaxed, 100.0)
        self.assertEqual(order.milestone_unplanned_amount, 20.0)
        with self.assertRefused("divided already"):
            order._split_into_milestones([50, 50])
        order._undo_milestone_split()
        self.assertEqual(self._priced(order).price_subtotal, 100.0)

    def test_a_changed_share_is_computed_anew(self):
        order = self._create_quotation(self._line(100.0, self.tax_15_included))
        first, second = order._split_into_milestones([50, 50]).order_line_ids
        for values, untaxed in (
            ({"price_unit": 115.0}, 100.0),
            ({"product_uom_qty": 2.0}, 200.0),
            ({"discount": 50.0}, 100.0),
            ({"tax_ids": [Command.clear()]}, 115.0),
        ):
            first.write(values)
            self.assertEqual(first.price_subtotal, untaxed, values)
        self.assertFalse(first.extra_tax_data)
        self.assertTrue(second.extra_tax_data)
        second.write({"price_unit": second.price_unit, "name": "The same"})
        self.assertTrue(second.extra_tax_data)
        second.billing_milestone_id.amount_untaxed = 40.0
        self.assertEqual(second.price_subtotal, 40.0)

    def test_a_share_at_another_price_is_no_more_that_part(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_company.lang = "fr_FR"
        order = self._create_quotation(
            self._line(1000.0, name="Website"), self._line(100.0, item=self.hours, product_uom_qty=7, name="Consulting")
        )
        milestones = order._split_into_milestones([12.5, 37.5, 50])
        websites = [milestone.order_line_ids[0] for milestone in milestones]
        first, second, third = websites
        hours = milestones[0].order_line_ids[1]
        self.assertEqual((first.name, hours.name), ("Website\n12,5 %", f"Consulting\n12,5 % de 7 {self.hour.name}"))
        first.write({"price_unit": 150.0})
        hours.price_unit = 90.0
        self.assertEqual((first.name, hours.name), ("Website", "Consulting"))
        second.write({"price_unit": second.price_unit, "discount": 10.0})
        self.assertEqual(second.name, "Website\n37,5 %", "of the line with its discount")
        second.write({"price_unit": 400.0, "name": "Website\n40 %"})
        third.name = "Website\n50 % of all pages"
        third.price_unit = 510.0
        self.assertEqual((second.name, third.name), ("Website\n40 %", "Website\n50 % of all pages"), "as typed")
        order._undo_milestone_split()
        self.assertEqual(self._priced(order).mapped("name"), ["Website", "Consulting"])

    def test_a_typed_amount_is_no_more_that_part(self):
        order = self._create_quotation(self._line(1000.0, name="Website"))
        first, second = order._split_into_milestones([20, 80])
        first.amount_untaxed = 250.0
        self.assertEqual((first | second).order_line_ids.mapped("name"), ["Website", "Website\n80 %"])
        second.amount_untaxed = 800.0
        self.assertEqual(second.order_line_ids.name, "Website\n80 %")

    def test_the_rounding_of_the_order_outlives_a_reset_to_quotation(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_quotation(
            *[self._line(0.335, self.env["account.tax"])] * 3, self._line(0.335, self.env["account.tax"], self.goods)
        )
        agreed = [order[name] for name in AMOUNTS]
        milestones = order._split_into_milestones([50, 50])
        for step in (order.action_confirm, order._action_cancel, order.action_draft, order.action_confirm):
            step()
            order._compute_amounts()
            self.assertEqual([order[name] for name in AMOUNTS], agreed, step.__name__)
            self.assertMoney(
                order.currency_id,
                sum(milestones.mapped("amount_untaxed")) + order.milestone_unplanned_amount,
                order.amount_untaxed,
            )

    def test_free_lines_added_later_leave_the_shares(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_quotation(self._line(100.0))
        milestones = order._split_into_milestones([50, 50])
        order.order_line = [Command.create({"product_uom_qty": 1, **self._line(0.335)}) for _number in range(3)]
        agreed = [order[name] for name in AMOUNTS]
        self.assertEqual(milestones.mapped("amount_untaxed"), [50.0, 50.0])
        order.action_confirm()
        self.assertEqual([order[name] for name in AMOUNTS], agreed)
        self._bill_all(order)
        self.assertBilledAsAgreed(order)

    def _bill_all(self, order):
        order.milestone_ids._write_protected({"state": "approved"})
        order.milestone_ids.sudo()._process_invoice_queue()
        order.invoice_ids.filtered(lambda move: move.state == "draft").action_post()
        if any(order.order_line.mapped("qty_to_invoice")):
            order._create_invoices(final=True).action_post()

    # -- refused ---------------------------------------------------------------------------------------

    def test_shares_that_do_not_add_up(self):
        order = self._create_quotation(self._line(100.0))
        for percentages, reason in (
            ([30, 30, 39.99], r"sum to 99\.99 %: 0\.01 % are missing"),
            ([8.3333] * 12, r"99\.9996 %: 0\.0004 % are missing"),
            ([60, 60], r"120 %: 20 % too much"),
            ([50, 0, 50], r"Share 2 is 0 %"),
            ([-10, 110], r"Share 1 is -10 %"),
            ([], "0 %"),
        ):
            with self.assertRefused(reason):
                order._split_into_milestones(percentages)
        for amounts, reason in (
            ([30, 30], r"40\.00.* are missing"),
            ([80, 30], r"exceed.*100\.00.* by .*10\.00"),
            ([100, 0], "Share 2"),
            ([110, -10], "Share 2"),
        ):
            with self.assertRefused(reason):
                order._split_into_milestones(amounts=amounts)
        self.assertFalse(order.milestone_ids)

    def test_more_shares_than_cents(self):
        order = self._create_quotation(self._line(100.0), self._line(0.05, name="Pencil"))
        with self.assertRefused(r"Pencil is .*0\.05.*share 1 \(8\.3333 %\) would be less than .*0\.01"):
            order._split_into_milestones([100 / 12] * 12)
        self.assertEqual(len(order._split_into_milestones([20] * 5)), 5)

    def test_lines_that_are_whole(self):
        order = self._create_quotation(
            self._line(name="Work"), self._line(500.0, item=self.goods, name="Server"), self._line(0.0, name="Gift")
        )
        lines = self._priced(order)
        self.assertEqual(order._get_divisible_lines(), lines[0])
        for line, reason in ((lines[1], "Server cannot be divided: goods"), (lines[2], "Gift .* no amount")):
            with self.assertRefused(reason):
                order._split_into_milestones([50, 50], lines=line)
        with self.assertRefused("either divided or assigned whole"):
            order._split_into_milestones([50, 50], lines=lines[0], whole={lines[0]: 0})
        other = self._create_quotation(self._line(name="Elsewhere"))
        with self.assertRefused("Elsewhere .* another order"):
            order._split_into_milestones([50, 50], lines=self._priced(other))
        with self.assertRefused("no order line"):
            self._create_quotation()._split_into_milestones([50, 50])

    def test_milestones_of_another_order(self):
        order, other = self._create_quotation(self._line()), self._create_quotation(self._line())
        with self.assertRefused("another order"):
            order._split_into_milestones([50, 50], other._split_into_milestones([50, 50]))

    def test_more_shares_than_milestones(self):
        order = self._create_quotation(self._line())
        milestone = self.env["sale.milestone"].create({"order_id": order.id, "name": "Only"})
        with self.assertRefused("2 shares .* 1 milestones"):
            order._split_into_milestones([50, 50], milestone)

    def test_an_agreed_plan(self):
        order = self._create_quotation(self._line())
        order._split_into_milestones([50, 50])
        order.action_confirm()
        with self.assertRefused("agreed"):
            order._split_into_milestones([50, 50])
        with self.assertRefused("agreed"):
            order._undo_milestone_split()

    def test_a_context_cannot_set_amounts(self):
        order = self._create_quotation(self._line(100.0))
        line = self._priced(order)
        forged = {(line.id, False): {"price_subtotal": 1.0}}
        share = (
            self.env["sale.order.line"]
            .with_context(milestone_share_values=forged)
            .create({"order_id": order.id, "milestone_source_id": line.id, **self._line(50.0)})
        )
        self.assertEqual(share.price_subtotal, 50.0)

    def test_a_context_cannot_set_totals(self):
        order = self._create_quotation()
        milestone = self.env["sale.milestone"].create({"order_id": order.id, "name": "Only", "amount_untaxed": 100.0})
        totals = ("base_amount_currency", "tax_amount_currency", "total_amount_currency")
        forging = milestone.with_context(milestone_known_totals={milestone.id: dict.fromkeys(totals, 1.0)})
        for name in AMOUNTS:
            self.env.add_to_compute(milestone._fields[name], milestone)
        forging._recompute_recordset(AMOUNTS)
        self.assertEqual([milestone[name] for name in AMOUNTS], [100.0, 15.0, 115.0])

    # -- thousands of shares ---------------------------------------------------------------------------

    def test_what_shares_are_given_is_what_would_be_computed(self):
        for method in ROUNDING_METHODS:
            self.company.tax_calculation_rounding_method = method
            order = self._create_quotation(
                self._line(100.0, item=self.hours, product_uom_qty=40, discount=10.0),
                self._line(33.335, self.tax_20_included + self.tax_15),
                self._line(77.77, self.tax_reverse),
                self._line(500.335, item=self.goods),
            )
            given = self.env["sale.milestone"].create([{"order_id": order.id, "name": name} for name in "ABC"])
            whole = {order.order_line[-1]: given[1]}  # it has more than shares
            order._split_into_milestones([25, 25, 50], given, whole=whole)
            known = (*SHARED_FIELDS, *IDLE_VALUES, *QUANTITY_FIELDS)
            names = [name for name in known if name in order.order_line._fields]
            names += ["price_subtotal", "price_tax", "price_total", "price_reduce_taxexcl", "price_reduce_taxinc"]
            before = self._read(order.order_line, names), self._read(given, AMOUNTS)
            for records, fields in ((order.order_line, names), (given, AMOUNTS)):
                for name in fields:
                    self.env.add_to_compute(records._fields[name], records)
            self.assertEqual((self._read(order.order_line, names), self._read(given, AMOUNTS)), before)

    def test_queries_do_not_grow_with_the_plan(self):
        self._count_queries(2)  # fills caches
        few, many = self._count_queries(5), self._count_queries(25)
        self.assertLess(many["division"], few["division"] + 5)
        self.assertLess(many["undoing"], few["undoing"] + 5)

    def _count_queries(self, count):
        order, counts = self._create_quotation(self._line(), self._line(500.0)), {}
        for name, method in (
            ("division", lambda: order._split_into_milestones([100 / count] * count)),
            ("undoing", order._undo_milestone_split),
        ):
            self.env.flush_all()
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            method()
            self.env.flush_all()
            counts[name] = self.env.cr.sql_log_count - start
        return counts

    # -- on paper --------------------------------------------------------------------------------------

    def test_sections_left_without_lines_are_not_printed(self):
        order = self._create_quotation(
            self._section("Emptied"), self._line(), self._section("Kept"), self._line(500.0, item=self.goods)
        )
        self.assertIn("Emptied", order._get_order_lines_to_report().mapped("name"))
        order._split_into_milestones([50, 50])
        printed = order._get_order_lines_to_report().mapped("name")
        self.assertNotIn("Emptied", printed)
        self.assertIn("Kept", printed)
        self.assertIn("Milestone 1", printed)


@tagged("post_install", "-at_install")
class TestSplitExactness(SplitCommon):
    """Random orders, divided at random: no cent is lost or moved, from the quotation to the last invoice."""

    def test_random_orders(self):
        """``MILESTONE_BILLING_SPLIT_ORDERS`` sets the number of orders, ``..._SEED`` where they start."""
        start = int(os.environ.get("MILESTONE_BILLING_SPLIT_SEED", 0))
        for seed in range(start, start + int(os.environ.get("MILESTONE_BILLING_SPLIT_ORDERS", 12))):
            with self.subTest(seed=seed):
                self._check_random_order(random.Random(seed), seed)

    def _check_random_order(self, rng, seed):
        self.company.tax_calculation_rounding_method = ROUNDING_METHODS[seed % 2]
        order = self._create_quotation(
            *[self._get_random_line(rng) for _line in range(rng.randint(1, 6))],
            *[self._get_random_line(rng, self.goods) for _line in range(rng.choice([0, 0, 1, 2]))],
            currency=rng.choice([self.company.currency_id, self.eur, self.jpy, self.kwd]),
        )
        before, agreed = self._read_lines(order), self._get_all_amounts(order)
        base_lines = order._get_rounded_base_lines()
        lines = order._get_divisible_lines()
        percentages = self._get_random_percentages(rng)
        weights = order._get_split_weights(percentages)
        units = [abs(unit) for unit in lines._get_split_untaxed(base_lines)]
        if not lines or min(units) * min(weights) < sum(weights) or sum(lines._get_split_untaxed(base_lines)) <= 0:
            with self.assertRefused("cannot be divided|less than|nothing to divide|no order line"):
                order._split_into_milestones(percentages)
            return
        totals = {line: line._get_split_totals(base_lines[line])["units"] for line in lines}
        preview = order._preview_milestone_split(percentages)
        milestones = order._split_into_milestones(percentages)
        self._check_shares(order, milestones, totals, weights, preview)
        self.assertEqual(self._get_all_amounts(order), agreed, "the division changed the order")
        if rng.random() < 0.3:
            order._undo_milestone_split()
            self.assertEqual(self._read_lines(order), before)
            milestones = order._split_into_milestones(percentages)
        order.action_confirm()
        self.assertEqual(self._get_all_amounts(order), agreed, "the confirmation changed the order")
        self._bill_and_check(order, milestones, agreed, rng)

    def _get_random_line(self, rng, item=None):
        tax_sets = [
            self.env["account.tax"],
            self.tax_15,
            self.tax_10 + self.tax_20,
            self.tax_15_included,
            self.tax_15_included + self.tax_20_included,
            self.tax_20_included + self.tax_10,
            self.tax_15 + self.tax_fixed,
            self.tax_compound + self.tax_15,
            self.tax_reverse,
        ]
        return self._line(
            rng.choice([100 / 3, 99.995, 1000.0, 3333.33, 0.335 if item else -20.0, round(rng.uniform(1, 99999), 3)]),
            rng.choice(tax_sets),
            item or rng.choice([self.milestone_product, self.hours]),
            product_uom_qty=rng.choice([1, 1, 2, 3, 40, 0.25, 7.5]),
            discount=rng.choice([0, 0, 0, 12.34, 33.33]),
        )

    def _get_random_percentages(self, rng):
        count = rng.randint(2, 12)
        if rng.random() < 0.4:
            return [100 / count] * count
        parts = [rng.randint(1, 2000) for _share in range(count)]
        percentages = [round(100 * part / sum(parts), rng.choice([0, 2, 4])) or 1.0 for part in parts]
        percentages[percentages.index(max(percentages))] += 100 - sum(percentages)
        return percentages

    def _get_all_amounts(self, order):
        """Return the amounts of the order, recomputed: untaxed, tax, total, and per tax in both currencies."""
        order._compute_amounts()
        result = {name: order.currency_id.format(order[name]) for name in AMOUNTS}
        company_currency = self.company.currency_id
        base_lines = order._get_rounded_base_lines().values()
        for base_line in base_lines:
            details = base_line["tax_details"]
            for key, values, names in [
                ("untaxed", details, ("total_excluded", "delta_total_excluded")),
                *(
                    ((data["tax"].name, data["is_reverse_charge"]), data, ("tax_amount",))
                    for data in details["taxes_data"]
                ),
            ]:
                amounts = result.setdefault(key, [0, 0])
                for index, (suffix, currency) in enumerate((("_currency", order.currency_id), ("", company_currency))):
                    amounts[index] += sum(round(values[f"{name}{suffix}"] / currency.rounding) for name in names)
        return result

    def _check_shares(self, order, milestones, totals, weights, preview):
        whole = sum(weights)
        stored = {milestone: [milestone[name] for name in AMOUNTS] for milestone in milestones}
        line_amounts = {
            line: (line.price_subtotal, line.price_tax, line.price_total) for line in milestones.order_line_ids
        }
        milestones.order_line_ids._compute_amount()
        for line, amounts in line_amounts.items():
            for amount, computed in zip(amounts, (line.price_subtotal, line.price_tax, line.price_total), strict=True):
                self.assertMoney(order.currency_id, amount, computed)
        base_lines = order._get_rounded_base_lines()
        for milestone, weight, share in zip(milestones, weights, preview, strict=True):
            for amount, name in zip(stored[milestone], ("untaxed", "tax", "total"), strict=True):
                self.assertMoney(order.currency_id, amount, share[name], f"{name} of {milestone.name} and its preview")
            sums, nominals = {}, {}
            for line in milestone.order_line_ids:
                for key, (units, _company_units) in line._get_split_totals(base_lines[line])["units"].items():
                    nominal = totals[line.milestone_source_id][key][0] * weight / whole
                    self.assertLessEqual(abs(units - nominal), 1.01, f"{key} of {line.name}")
                    sums[key] = sums.get(key, 0) + units
                    nominals[key] = nominals.get(key, 0) + nominal
            for key in [key for key in sums if key[0] != "base_amount"]:
                self.assertLess(abs(sums[key] - nominals[key]), 1.0001, f"{key} of {milestone.name}")

    def _bill_and_check(self, order, milestones, agreed, rng):
        plan = {milestone: [milestone[name] for name in AMOUNTS] for milestone in milestones}
        milestones._write_protected({"state": "approved"})
        for batch in milestones if rng.random() < 0.3 else [milestones]:
            batch.sudo()._process_invoice_queue(grouping=rng.choice(["milestone", "order"]))
        for milestone, amounts in plan.items():
            invoice = self._invoices(milestone)
            if invoice.billing_milestone_ids == milestone:
                for name, amount in zip(AMOUNTS, amounts, strict=True):
                    self.assertMoney(order.currency_id, invoice[name], amount, f"{name} of {milestone.name}")
        order.invoice_ids.filtered(lambda move: move.state == "draft").action_post()
        if any(order.order_line.mapped("qty_to_invoice")):
            order._create_invoices(final=True).action_post()
        self.assertBilledAsAgreed(order)
        product_lines = order.invoice_ids.line_ids.filtered(lambda line: line.display_type == "product")
        self.assertMoney(
            self.company.currency_id,
            -sum(product_lines.mapped("balance")),
            agreed["untaxed"][1] * self.company.currency_id.rounding,
            "the company's currency",
        )
