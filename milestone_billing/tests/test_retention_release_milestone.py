import random
from datetime import date

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .test_split import AMOUNTS, ROUNDING_METHODS, SplitCommon


class ReleaseMilestoneCommon(SplitCommon):
    def _retain(self, order, percentage=10.0, **terms):
        order.write(
            {
                "milestone_retention_percentage": percentage,
                "milestone_retention_method": "release_milestone",
                **{f"milestone_retention_{name}": value for name, value in terms.items()},
            }
        )
        return order.milestone_ids.filtered("is_retention")

    def _totals(self, order):
        self.env.flush_all()
        self.env.invalidate_all()
        return [order[name] for name in AMOUNTS], self._order_tax_amounts(order)

    def _amounts(self, order):
        return order.milestone_ids.sorted("sequence").mapped("amount_untaxed")

    def assertSameTotals(self, order, before):
        amounts, taxes = self._totals(order)
        currency = order.currency_id
        for name, amount, known in zip(AMOUNTS, amounts, before[0], strict=True):
            self.assertMoney(currency, amount, known, f"{name}: {amount} / {known}")
        self.assertEqual(taxes.keys(), before[1].keys())
        for tax, amount in taxes.items():
            self.assertMoney(currency, amount, before[1][tax], f"{tax.name}: {amount} / {before[1][tax]}")
        for name in AMOUNTS[:2] if order.milestone_unplanned_amount else AMOUNTS:
            if not order.milestone_unplanned_amount:
                self.assertMoney(currency, sum(order.milestone_ids.mapped(name)), order[name])


@tagged("post_install", "-at_install")
class TestReleaseMilestone(ReleaseMilestoneCommon):
    """Retention whose tax falls due on release: milestones bill less, a last one bills the rest."""

    def test_milestones_are_billed_less_and_the_release_bills_the_rest(self):
        order = self._create_contract([1000.0, 2000.0], confirm=False)
        before = self._totals(order)
        release = self._retain(order)
        self.assertEqual(self._amounts(order), [900.0, 1800.0, 300.0])
        self.assertEqual(order.milestone_ids.sorted("sequence")[-1], release)
        self.assertEqual(release.deliverable_ids.mapped("name"), ["Release of retention"])
        self.assertSameTotals(order, before)
        order.action_confirm()
        first, second, last = self._bill(order.milestone_ids.sorted("sequence"))
        self.assertEqual([first.amount_untaxed, second.amount_untaxed, last.amount_untaxed], [900.0, 1800.0, 300.0])
        self.assertEqual([first.amount_tax, second.amount_tax, last.amount_tax], [135.0, 270.0, 45.0])
        self.assertFalse((first + second + last).line_ids.retention_order_id)
        self.assertEqual(first.retention_amount, 0.0)
        self.assertBilledAsAgreed(order)

    def test_the_client_signs_it(self):
        order = self._create_contract([1000.0, 2000.0], confirm=False)
        release = self._retain(order)
        sentences = " ".join(order._get_retention_sentences())
        self.assertIn("10 %", sentences)
        self.assertIn(release.name, sentences)
        page = str(self.env["ir.qweb"]._render("milestone_billing.order_retention_terms", {"order": order}))
        self.assertIn(release.name, page)
        html = self.env["ir.actions.report"]._render_qweb_html("sale.report_saleorder", order.ids)[0].decode()
        self.assertIn("300.00", html)
        self.assertIn("10 % of each milestone", html)
        self.assertIn("less 10 % retention", order.milestone_ids[0].order_line_ids.name)
        order.action_confirm()
        agreed = {values["name"]: values["untaxed"] for values in order._prepare_contract_values()["milestones"]}
        self.assertEqual(agreed, {"Milestone 1": "900.00", "Milestone 2": "1800.00", "Retention": "300.00"})
        self.assertEqual(order._prepare_contract_values()["retention"]["method"], "release_milestone")
        self.assertFalse(order._verify_contract())

    def test_cap_and_stage_down_in_the_order_of_the_plan(self):
        order = self._create_contract([1000.0] * 4, confirm=False)
        self._retain(order, cap=5.0)
        self.assertEqual(self._amounts(order), [900.0, 900.0, 1000.0, 1000.0, 200.0])
        self._retain(order, cap=0.0, reduced_percentage=5.0, reduced_after=37.5)
        self.assertEqual(self._amounts(order), [900.0, 925.0, 950.0, 950.0, 275.0])
        self.assertTrue(all(milestone.state == "draft" for milestone in order.milestone_ids))

    def test_of_the_total(self):
        order = self._create_contract([], confirm=False, lines=[self._line(taxes=self.tax_15), self._line(1000.0)])
        order._split_into_milestones([50, 50])
        self._retain(order, base="total")
        release = order.milestone_ids.filtered("is_retention")
        self.assertEqual(release.amount_total, round(order.amount_total / 10, 2))

    def test_terms_changed_and_taken_back(self):
        """Whatever was tried, what is left is the plan as it was."""
        order = self._create_contract([333.33, 666.67], confirm=False)
        lines, before = self._read_lines(order), self._totals(order)
        release = self._retain(order)
        divided = {line["id"]: line for line in self._read_lines(order)}
        self._retain(order, percentage=5.0)
        self.assertEqual(order.milestone_ids.filtered("is_retention"), release, "the milestone stays")
        self.assertEqual(release.amount_untaxed, 50.0)
        self._retain(order)
        self.assertEqual(release.amount_untaxed, 100.0)
        kept = {line.id for line in order.order_line if line.retention_source_id}
        self.assertTrue(kept)
        again = {line["id"]: line for line in self._read_lines(order)}
        for line in order.milestone_ids.order_line_ids.filtered("retention_values"):
            self.assertEqual(again[line.id], divided[line.id])
        order.milestone_retention_method = "terms"
        self.assertFalse(release.exists())
        self.assertEqual(self._read_lines(order), lines)
        self.assertSameTotals(order, before)
        order.milestone_retention_method = "release_milestone"
        order.milestone_retention_percentage = 0.0
        self.assertEqual(self._read_lines(order), lines)

    def test_plan_undone_and_done_again(self):
        order = self._create_quotation(
            self._line(1000.01), self._line(100.0, item=self.hours, product_uom_qty=7), self._line(50.0, discount=5)
        )
        lines, before = self._read_lines(order), self._totals(order)
        self._retain(order)
        self.assertFalse(order.milestone_ids)
        order._split_into_milestones([30, 30, 40])
        self.assertEqual(len(order.milestone_ids), 4)
        self.assertSameTotals(order, before)
        order._undo_milestone_split()
        self.assertFalse(order.milestone_ids)
        self.assertEqual(self._read_lines(order), lines)
        rows = [{"name": f"M{share}", "contract_date": False, "percentage": share} for share in (25, 75)]
        order._apply_milestone_plan(rows)
        self.assertEqual(order.milestone_ids.mapped("name"), ["M25", "M75", "Retention"])
        sources = order.order_line.filtered(lambda line: line.milestone_source_id == line)
        order._apply_milestone_plan(rows[::-1], lines=sources)
        self.assertEqual(order.milestone_ids.mapped("name"), ["M75", "M25", "Retention"])
        self.assertSameTotals(order, before)
        order._clear_milestone_plan()
        self.assertEqual(self._read_lines(order), lines)

    def test_the_wizard_shows_the_plan_without_it(self):
        order = self._create_quotation(self._line(1000.0))
        self._retain(order)
        order._apply_milestone_plan(
            [{"name": name, "contract_date": False, "percentage": 50.0} for name in ("First", "Second")]
        )
        planner = self.env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"])
        self.assertEqual(planner.line_ids.mapped("name"), ["First", "Second"])
        self.assertEqual(planner.split_by, "percentage")
        self.assertEqual(planner.amount_to_divide, 1000.0)
        self.assertFalse(planner.removed_names)
        self.assertEqual(self._amounts(order), [450.0, 450.0, 100.0], "looking changes nothing")
        with Form(planner) as form, form.line_ids.edit(0) as row:
            row.percentage = 20.0
        with Form(planner) as form, form.line_ids.edit(1) as row:
            row.percentage = 80.0
        planner.action_apply()
        self.assertEqual(self._amounts(order), [180.0, 720.0, 100.0])
        planner = self.env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"])
        planner.action_undo()
        self.assertFalse(order.milestone_ids)
        self.assertEqual(self._priced(order).price_subtotal, 1000.0)

    def test_the_quotation_form(self):
        order = self._create_contract([1000.0], confirm=False)
        with Form(order) as form:
            form.milestone_retention_percentage = 10.0
            form.milestone_retention_method = "release_milestone"
        self.assertEqual(self._amounts(order), [900.0, 100.0])
        with Form(order) as form, form.milestone_ids.new() as milestone:
            milestone.name = "Another"
            milestone.amount_untaxed = 500.0
        self.assertEqual(sorted(self._amounts(order)), [150.0, 450.0, 900.0])
        self.assertEqual(order.milestone_ids.sorted("sequence")[-1].name, "Retention")
        with Form(order) as form:
            form.milestone_ids.remove(0)
        self.assertEqual(self._amounts(order), [450.0, 50.0])
        self.assertEqual(order.amount_untaxed, 500.0)

    def test_parts_do_not_change_alone(self):
        order = self._create_contract([1000.0, 2000.0], confirm=False)
        release = self._retain(order)
        billed, kept = order.milestone_ids[0].order_line_ids, release.order_line_ids[0]
        for line in (billed, kept):
            for values in (
                {"price_unit": 1.0},
                {"product_uom_qty": 5},
                {"discount": 3},
                {"tax_ids": [Command.clear()]},
            ):
                with self.assertRefused("kept back"):
                    line.write(values)
        with self.assertRefused("kept back"):
            order.milestone_ids[0].amount_untaxed = 5.0
        with self.assertRefused("kept back"):
            kept.billing_milestone_id = order.milestone_ids[0]
        with self.assertRefused("cannot be set by hand", AccessError):
            order.milestone_ids[0].is_retention = True
        billed.name = "Renamed by hand"
        self._retain(order, percentage=0.0)
        self.assertEqual(billed.name, "Renamed by hand")
        self.assertEqual(billed.price_subtotal, 1000.0)

    def test_deleted_lines_take_their_retention_along(self):
        order = self._create_contract([1000.0, 2000.0], confirm=False)
        release = self._retain(order)
        release.order_line_ids[0].unlink()
        self.assertEqual(order.milestone_ids[0].amount_untaxed, 1000.0, "whole again")
        self.assertEqual(order.amount_untaxed, 3000.0)
        self._retain(order)
        order.milestone_ids[0].unlink()
        self.assertEqual(self._amounts(order), [1800.0, 200.0])
        order.milestone_ids.filtered("is_retention").unlink()
        self.assertEqual(self._amounts(order), [1800.0, 200.0], "made again as long as the terms say so")
        order.milestone_ids.filtered(lambda milestone: not milestone.is_retention).unlink()
        self.assertFalse(order.milestone_ids)
        self.assertFalse(order.order_line.filtered("retention_source_id"))

    def test_a_line_that_leaves_its_milestone_is_whole(self):
        order = self._create_gated_order([[self._line(1000.0)], [self._line(2000.0), self._line(10.0)]], confirm=False)
        self._retain(order)
        line = order.milestone_ids[1].order_line_ids.filtered(lambda line: line.price_subtotal == 1800.0)
        line.billing_milestone_id = False
        self.assertEqual(line.price_subtotal, 2000.0)
        self.assertEqual(self._amounts(order), [900.0, 9.0, 101.0])

    def test_what_leaves_nothing_to_bill_is_refused(self):
        order = self._create_contract([1000.0, 2000.0], confirm=False)
        for percentage in (100.0, 99.9999):
            with (
                self.subTest(percentage=percentage),
                self.assertRefused(
                    r"retention of (100|99\.9999) % leaves nothing of .* to bill with Milestone 1.*at most 99\.99 %"
                ),
            ):
                self._retain(order, percentage=percentage)
        self.assertEqual(self._amounts(order), [1000.0, 2000.0])
        self._retain(order, percentage=99.99)
        self.assertEqual(self._amounts(order), [0.1, 0.2, 2999.7])
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_the_highest_retention_is_possible(self):
        order = self._create_gated_order([[self._line(0.5), self._line(3.0)], [self._line(70.0)]], confirm=False)
        with self.assertRefused("at most 96 %"):
            self._retain(order, percentage=100.0)
        self._retain(order, percentage=96.0)
        self.assertEqual(self._amounts(order), [0.14, 2.8, 70.56])
        self.assertFalse(order._get_plan_error())

    def test_what_is_too_small_to_be_divided_has_no_release(self):
        order = self._create_contract([0.01], confirm=False)
        self._retain(order, percentage=50.0)
        self.assertEqual(self._amounts(order), [0.01])
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_a_company_default_that_leaves_nothing_keeps_nobody_from_selling(self):
        self.company.write({"milestone_retention_percentage": 100.0, "milestone_retention_method": "release_milestone"})
        order = self._create_quotation(self._line(1000.0))
        with self.assertRefused("at most 99.99 %"):
            order._split_into_milestones([40, 60])
        order.milestone_retention_cap = 10.0
        order._split_into_milestones([40, 60])
        self.assertFalse(order._get_plan_error())

    def test_goods_are_named(self):
        with self.assertRefused("Server.*goods"):
            order = self._create_gated_order([[self._line(500.0, item=self.goods)]], confirm=False)
            self._retain(order)

    def test_dates_and_predecessors_follow_the_terms(self):
        order = self._create_contract(
            [
                {"amount_untaxed": 100.0, "contract_date": date(2030, 1, 15)},
                {"amount_untaxed": 100.0, "contract_date": date(2030, 3, 1)},
            ],
            confirm=False,
        )
        release = self._retain(order, trigger="date", date=date(2031, 5, 5))
        self.assertEqual(release.contract_date, date(2031, 5, 5))
        planned = order._get_plan_milestones()
        self._retain(order, trigger="milestone", days=30)
        self.assertEqual(release.contract_date, date(2030, 3, 31))
        self.assertEqual(release.predecessor_ids, planned)
        self._retain(order, milestone_id=planned[0].id)
        self.assertEqual(release.predecessor_ids, planned[0])
        self.assertEqual(release.contract_date, date(2030, 2, 14))
        order.action_confirm()
        release.action_start()
        self._show_work(release)
        with self.assertRefused("Milestone 1"):
            release.with_user(self.users["salesperson"]).action_submit()

    def test_agreed_terms_rest(self):
        order = self._create_contract([1000.0], confirm=False)
        self._retain(order)
        order.action_confirm()
        for values in ({"milestone_retention_method": "terms"}, {"milestone_retention_percentage": 5.0}):
            with self.assertRefused("agreed"):
                order.write(values)
        self.assertEqual(self._amounts(order), [900.0, 100.0])

    def test_what_was_signed_is_not_divided_anew(self):
        """A plan that somebody else changed past the form is refused, not silently other than signed."""
        order = self._create_contract([1000.0], confirm=False)
        order.with_context(milestone_retention_at_work=True).write(
            {"milestone_retention_percentage": 10.0, "milestone_retention_method": "release_milestone"}
        )
        self.assertIn("100.00", order._get_plan_error())
        order.signature = (
            b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )
        with self.assertRefused("100.00"):
            order.action_confirm()
        order.signature = False
        order.action_confirm()
        self.assertEqual(self._amounts(order), [900.0, 100.0])

    def test_copies_keep_back_too(self):
        order = self._create_quotation(self._line(1000.0))
        order._split_into_milestones([40, 60])
        self._retain(order)
        copy = order.copy()
        self.assertEqual(self._amounts(copy), [360.0, 540.0, 100.0])
        self.assertEqual(len(copy.milestone_ids.filtered("is_retention")), 1)
        self._retain(copy, percentage=0.0)
        self.assertEqual(self._amounts(copy), [400.0, 600.0])
        copy._undo_milestone_split()
        self.assertEqual(self._priced(copy).price_subtotal, 1000.0)
        self.assertEqual(self._amounts(order), [360.0, 540.0, 100.0])

    def test_template_of_a_plan_has_no_retention(self):
        order = self._create_contract([1000.0, 3000.0], confirm=False)
        self._retain(order)
        template = self.env["sale.milestone.template"].browse(order.action_save_milestone_template()["res_id"])
        self.assertEqual(template.line_ids.mapped("percentage"), [25.0, 75.0])

    def test_company_default(self):
        self.company.write({"milestone_retention_percentage": 10.0, "milestone_retention_method": "release_milestone"})
        order = self._create_contract([1000.0], confirm=False)
        self.assertEqual(self._amounts(order), [900.0, 100.0])

    def test_exact_in_every_currency_tax_and_rounding(self):
        rng = random.Random(11)
        taxes = [
            self.tax_15,
            self.tax_20_included,
            self.tax_15 + self.tax_compound,
            self.tax_reverse,
            self.env["account.tax"],
            self.tax_fixed,
        ]
        for number in range(8):
            self.company.tax_calculation_rounding_method = ROUNDING_METHODS[number % 2]
            currency = (self.company.currency_id, self.eur, self.jpy, self.kwd)[number // 2]
            lines = [
                self._line(
                    rng.randint(2000, 900000) / 100,
                    taxes=rng.choice(taxes),
                    product_uom_qty=rng.choice([1, 1, 3]),
                    discount=rng.choice([0, 0, 7.5]),
                )
                for _line in range(rng.randint(1, 4))
            ]
            with self.subTest(number=number, currency=currency.name):
                order = self._create_quotation(*lines, currency=currency)
                originals, before = self._read_lines(order), self._totals(order)
                order._split_into_milestones([33.3333, 33.3333, 33.3334])
                self._retain(order, percentage=rng.choice([5.0, 7.5, 10.0]), cap=rng.choice([0, 6.0]))
                self.assertSameTotals(order, before)
                if number % 3 == 0:
                    order.copy()._undo_milestone_split()
                if number in (1, 4, 7):
                    for milestone in order._get_plan_milestones():
                        milestone.deliverable_ids = [Command.create({"name": milestone.name})]
                    order.action_confirm()
                    self._bill(order.milestone_ids)
                    self.assertBilledAsAgreed(order)
                else:
                    order._undo_milestone_split()
                    self.assertEqual(self._read_lines(order), originals)
