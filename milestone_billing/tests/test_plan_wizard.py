import time
from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestPlanWizard(MilestoneCommon):
    """A quotation is planned in one dialog, and what the dialog shows is what the quotation gets."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.consulting = cls._create_product(
            name="Consulting", type="service", lst_price=1000.0, taxes_id=[Command.set(cls.tax_15.ids)]
        )
        cls.hosting = cls._create_product(
            name="Hosting", type="service", lst_price=99.99, taxes_id=[Command.set(cls.tax_20.ids)]
        )
        cls.hardware = cls._create_product(
            name="Hardware", type="consu", lst_price=500.0, taxes_id=[Command.set(cls.tax_15.ids)]
        )
        cls.salesperson = cls.users["salesperson"]
        cls.template = cls.env["sale.milestone.template"].create(
            {
                "name": "Website",
                "skip_days_off": False,
                "line_ids": [
                    Command.create({"name": name, "sequence": number, "percentage": 20.0, "delay_number": 2})
                    for number, name in enumerate(("Analysis", "Design", "Build", "Content", "Launch"))
                ],
            }
        )
        cls.template.line_ids[0].deliverable_ids = [Command.create({"name": "Paper"})]

    def _create_quotation(self, *products, **values):
        lines = [{"product_id": product.id} for product in products or self.consulting | self.hosting]
        return self._create_contract([], confirm=False, lines=lines, **values).with_user(self.salesperson)

    def _open(self, order):
        action = order.action_plan_milestones()
        return Form(self.env[action["res_model"]].with_user(order.env.user).browse(action["res_id"]))

    def _type(self, form, split_by, *shares):
        """Enter rows by hand."""
        form.method = "manual"
        form.split_by = split_by
        for number, share in enumerate(shares, 1):
            with form.line_ids.new() as row:
                row.name = f"Part {number}"
                row[split_by] = share

    def _apply(self, form):
        return form.save().action_apply()

    def _remember(self, order):
        names = ("name", "product_uom_qty", "product_uom_id", "price_unit", "discount", "tax_ids", "price_total")
        return [(line.id, *(line[name] for name in names)) for line in order.order_line]

    def assertShown(self, planner, order):
        """The quotation has what the dialog showed, to the smallest unit."""
        self.assertEqual(planner.line_ids.mapped("name"), order.milestone_ids.mapped("name"))
        for row, milestone in zip(planner.line_ids, order.milestone_ids, strict=True):
            for name in ("amount_untaxed", "amount_tax", "amount_total"):
                self.assertMoney(order.currency_id, row[name], milestone[name], f"{row.name}, {name}")

    # -- three ways ----------------------------------------------------------------------------------------

    def test_five_milestones_from_a_template_in_one_dialog(self):
        order = self._create_quotation()
        total = order.amount_total
        form = self._open(order)
        self.assertEqual(form.method, "template")
        form.template_id = self.template
        form.start_date = "2027-01-04"
        self.assertFalse(form.problem)
        planner = form.save()
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids.mapped("name"), ["Analysis", "Design", "Build", "Content", "Launch"])
        self.assertEqual(str(order.milestone_ids[4].contract_date), "2027-03-15")
        self.assertEqual(order.milestone_ids[0].deliverable_ids.name, "Paper")
        self.assertEqual(order.amount_total, total)
        self.assertEqual(order.milestone_unplanned_amount, 0.0)
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_a_template_speaks_the_language_of_the_client(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_company.lang = "fr_FR"
        first = self.template.line_ids[0]
        first.description = "<p>Scope</p>"
        first.deliverable_ids.acceptance_criteria = "Ten pages"
        french = first.with_context(lang="fr_FR")
        french.write({"name": "Analyse", "description": "<p>Étendue</p>"})
        french.deliverable_ids.write({"name": "Papier", "acceptance_criteria": "Dix pages"})
        order = self._create_quotation()
        form = self._open(order)
        form.template_id = self.template
        self._apply(form)
        milestone = order.milestone_ids[0]
        self.assertRecordValues(milestone, [{"name": "Analyse", "description": "<p>Étendue</p>"}])
        self.assertRecordValues(milestone.deliverable_ids, [{"name": "Papier", "acceptance_criteria": "Dix pages"}])

    def test_a_regular_schedule(self):
        order = self._create_quotation()
        form = self._open(order)
        form.method = "schedule"
        form.start_date = "2027-01-31"
        form.label = "Month"
        form.milestone_count = 3
        planner = form.save()
        self.assertEqual(planner.line_ids.mapped("name"), ["Month 1", "Month 2", "Month 3"])
        self.assertEqual(
            [str(day) for day in planner.line_ids.mapped("contract_date")], ["2027-01-31", "2027-02-28", "2027-03-31"]
        )
        planner.action_apply()
        self.assertShown(planner, order)
        thirds = order.milestone_ids.mapped("amount_untaxed")
        self.assertLessEqual(round(max(thirds) - min(thirds), 2), 0.01)

    def test_a_schedule_until_a_day_with_weights_and_days_off(self):
        form = self._open(self._create_quotation())
        form.method = "schedule"
        form.start_date = "2027-01-02"  # a Saturday
        form.every = 2
        form.unit = "week"
        form.end_by = "until"
        form.until = "2027-01-31"
        form.skip_days_off = True
        form.weighting = "front"
        planner = form.save()
        # the last one would be on Monday, 1 February: it moves back to the Friday before its Saturday
        self.assertEqual(
            [str(day) for day in planner.line_ids.mapped("contract_date")], ["2027-01-04", "2027-01-18", "2027-01-29"]
        )
        self.assertEqual([round(share, 2) for share in planner.line_ids.mapped("percentage")], [50.0, 33.33, 16.67])

    def test_days_off_move_no_date_out_of_the_schedule(self):
        order = self._create_quotation()
        saturday, sunday, monday = date(2027, 1, 2), date(2027, 1, 3), date(2027, 1, 4)
        self.assertEqual(order._move_to_working_days([saturday], first=saturday, last=sunday), [saturday])
        self.assertEqual(order._move_to_working_days([saturday], first=saturday, last=monday), [monday])
        self.assertEqual(
            order._move_to_working_days([sunday], first=date(2026, 12, 1), last=sunday), [date(2027, 1, 1)]
        )
        self.assertEqual(order._move_to_working_days([None, monday], first=saturday, last=monday), [None, monday])

    def test_dates_that_are_far_apart_skip_days_off_too(self):
        form = self._open(self._create_quotation())
        form.method = "schedule"
        form.start_date = "2027-01-02"
        form.every = 60
        form.milestone_count = 100
        form.skip_days_off = True
        dates = form.save().line_ids.mapped("contract_date")
        self.assertEqual(len(dates), 100)
        self.assertEqual((dates[0], dates[1]), (date(2027, 1, 4), date(2032, 1, 2)))
        self.assertEqual(dates[-1], date(2522, 1, 2))
        self.assertFalse([day for day in dates if day.weekday() > 4])

    def test_own_weights(self):
        order = self._create_quotation()
        form = self._open(order)
        form.method = "schedule"
        form.weighting = "custom"
        with form.line_ids.edit(0) as row:
            row.weight = 2
        self.assertEqual([round(row["percentage"], 2) for row in form.line_ids._records], [50.0, 25.0, 25.0])
        planner = form.save()
        self.assertFalse(planner.problem)
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [549.99, 275.0, 275.0])

    def test_a_milestone_without_weight(self):
        form = self._open(self._create_quotation())
        form.method = "schedule"
        form.milestone_count = 2
        form.weighting = "custom"
        for number in range(2):
            with form.line_ids.edit(number) as row:
                row.weight = 0
        self.assertIn("Milestone 1 has no weight yet: enter one above zero", form.problem)
        with form.line_ids.edit(0) as row:
            row.weight = 3
        self.assertIn("Milestone 2 has no weight yet", form.problem)
        with form.line_ids.edit(1) as row:
            row.weight = 1
        self.assertFalse(form.problem)
        self.assertEqual(form.save().line_ids.mapped("percentage"), [75.0, 25.0])

    def test_a_schedule_that_is_none(self):
        for settings, message in (
            ({"every": 0}, "interval of at least one"),
            ({"start_date": "2027-03-01", "end_by": "until", "until": "2027-02-28"}, "end date is before the start"),
            (
                {"start_date": "2027-03-01", "end_by": "until", "until": "2027-03-30", "last_day": True},
                "No month ends between the start date and the end date",
            ),
            ({"milestone_count": 1001}, "at most 1000 milestones"),
            ({"unit": "week", "every": 2147483647}, "after the year 9999"),
            ({"every": 500000}, "after the year 9999"),
            ({"start_date": "9999-12-25", "milestone_count": 1, "skip_days_off": True}, False),
            ({"start_date": "9999-12-31", "skip_days_off": True, "milestone_count": 2}, "after the year 9999"),
        ):
            with self.subTest(settings=settings):
                form = self._open(self._create_quotation())
                form.method = "schedule"
                self.assertEqual(len(form.line_ids), 3)
                *others, (name, value) = settings.items()
                for other, setting in others:
                    form[other] = setting
                if not message:
                    form[name] = value
                    continue
                with self.assertLogs("odoo.tests.form.onchange", "WARNING") as log:
                    form[name] = value
                self.assertIn(message, log.output[0])
                self.assertFalse(len(form.line_ids), "what the dialog does not show any more is not applied")

    def test_typed_percentages(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 12.5, 37.5, 50.0)
        planner = form.save()
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids[0].amount_untaxed, 137.5)

    def test_typed_amounts(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "amount", 99.98, 900.0, 100.01)
        planner = form.save()
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [99.98, 900.0, 100.01])

    def test_one_milestone_for_all(self):
        order = self._create_quotation()
        before = self._remember(order)
        form = self._open(order)
        self._type(form, "percentage", 100.0)
        self._apply(form)
        self.assertEqual(order.milestone_ids.amount_untaxed, 1099.99)
        self._open(order).save().action_undo()
        self.assertEqual(self._remember(order), before)

    def test_amounts_make_lines_where_there_are_none(self):
        order = self._create_contract([], confirm=False).with_user(self.salesperson)
        form = self._open(order)
        self._type(form, "amount", 400.0, 600.0)
        self._apply(form)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [400.0, 600.0])
        self.assertEqual(order.amount_total, 1150.0)

    def test_a_contract_sum_is_divided_where_there_are_no_lines(self):
        for tax in (self.tax_15, self.tax_15_included):
            with self.subTest(tax=tax.name):
                self.milestone_product.taxes_id = tax
                order = self._create_contract([], confirm=False).with_user(self.salesperson)
                form = self._open(order)
                form.contract_sum = 10000.0
                form.method = "schedule"
                planner = form.save()
                self.assertFalse(planner.problem)
                self.assertEqual(planner.amount_total, 11500.0)
                planner.action_apply()
                self.assertShown(planner, order)
                self.assertEqual((order.amount_untaxed, order.amount_total), (10000.0, 11500.0))
                self.assertShown(self._open(order).save(), order)

    # -- the live preview ----------------------------------------------------------------------------------

    def test_the_next_row_proposes_the_remainder(self):
        form = self._open(self._create_quotation())
        self._type(form, "percentage", 30.0)
        self.assertEqual(form.percentage_remainder, 70.0)
        self.assertEqual(form.amount_remainder, 769.99)
        self.assertIn("70 % of the price is not planned yet", form.problem)
        with form.line_ids.new() as row:
            row.name = "Rest"
            self.assertEqual(row.percentage, 70.0)
        self.assertFalse(form.problem)

    def test_what_is_missing_does_not_disturb_the_preview(self):
        form = self._open(self._create_quotation())
        self._type(form, "percentage", 30.0)
        self.assertEqual(form.line_ids._records[0]["amount_untaxed"], 330.0)
        self.assertEqual(form.line_ids._records[0]["amount_tax"], 51.0)

    def test_the_other_measure_takes_the_plan_over(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 33.3333, 66.6667)
        form.split_by = "amount"
        self.assertEqual([row["amount"] for row in form.line_ids._records], [366.66, 733.33])
        self.assertFalse(form.problem)
        form.split_by = "percentage"
        self.assertFalse(form.problem)

    def test_preview_is_the_result_in_every_currency_and_rounding(self):
        yen, dinar = self.env.ref("base.JPY"), self.env.ref("base.KWD")
        (yen | dinar).active = True
        for method in ("round_per_line", "round_globally"):
            self.company.tax_calculation_rounding_method = method
            for currency in (None, yen, dinar):
                with self.subTest(method=method, currency=currency and currency.name):
                    values = {"currency": currency} if currency else {}
                    order = self._create_quotation(self.consulting, self.hosting, self.hosting, **values)
                    order.order_line[2].tax_ids = self.tax_15_included | self.tax_10
                    form = self._open(order)
                    self._type(form, "percentage", 100 / 7, 200 / 7, 400 / 7)
                    planner = form.save()
                    planner.action_apply()
                    self.assertShown(planner, order)
                    self.assertShown(self._open(order).save(), order)

    def test_a_hundred_rows_and_ten_lines_answer_quickly(self):
        order = self._create_quotation(*[self.consulting, self.hosting] * 5)
        form = self._open(order)
        form.method = "schedule"
        form.milestone_count = 150
        planner = form.save()
        started = time.perf_counter()
        planner._get_preview()
        self.assertLess(time.perf_counter() - started, 1.0)
        with self.assertQueryCount(0):
            planner._get_preview()

    # -- which lines ---------------------------------------------------------------------------------------

    def test_goods_belong_to_one_milestone_or_none(self):
        order = self._create_quotation(self.consulting, self.hardware)
        form = self._open(order)
        self._type(form, "percentage", 50.0, 50.0)
        self.assertEqual(form.amount_free, 500.0)
        with form.source_ids.edit(1) as source:
            self.assertFalse(source.divide)
            self.assertIn("goods", source.reason)
            source.milestone_number = 2
            self.assertEqual(source.milestone_name, "Part 2")
        self.assertEqual(form.amount_free, 0.0)
        planner = form.save()
        self.assertEqual(planner.line_ids.mapped("whole_amount"), [0.0, 500.0])
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [500.0, 1000.0])
        hardware = order.order_line.filtered(lambda line: line.product_id == self.hardware)
        self.assertEqual(hardware.billing_milestone_id, order.milestone_ids[1])

    def test_a_milestone_of_goods_only(self):
        order = self._create_quotation(self.consulting, self.hardware)
        form = self._open(order)
        self._type(form, "percentage", 100.0, 0.0)
        self.assertIn("Part 2 has no share yet", form.problem)
        with form.source_ids.edit(1) as source:
            source.milestone_number = 2
        self.assertFalse(form.problem)
        self._apply(form)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [1000.0, 500.0])

    def test_goods_are_never_divided(self):
        order = self._create_quotation(self.consulting, self.hardware)
        planner = self._open(order).save()
        with self.assertRefused("Hardware cannot be divided: goods are delivered whole"):
            planner.source_ids[1].divide = True

    def test_only_the_chosen_lines_are_divided(self):
        order = self._create_quotation()
        form = self._open(order)
        with form.source_ids.edit(1) as source:
            source.divide = False
        self._type(form, "percentage", 50.0, 50.0)
        self._apply(form)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [500.0, 500.0])
        self.assertEqual(order.milestone_unplanned_amount, 99.99)

    def test_options_are_divided_only_when_chosen(self):
        option = [
            {"display_type": "line_section", "name": "Options", "is_optional": True, "product_uom_qty": 0},
            {"product_id": self.hosting.id},
        ]
        order = self._create_contract([], confirm=False, lines=[{"product_id": self.consulting.id}, *option])
        form = self._open(order.with_user(self.salesperson))
        self._type(form, "percentage", 50.0, 50.0)
        self.assertEqual([source["divide"] for source in form.source_ids._records], [True, False])
        self.assertEqual((form.amount_to_divide, form.amount_free), (1000.0, 99.99))
        with form.source_ids.edit(1) as source:
            source.divide = True
        self._apply(form)
        self.assertEqual(sum(order.milestone_ids.mapped("amount_untaxed")), 1099.99)

    def test_a_line_that_was_whole_is_divided_anew(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 40.0, 30.0, 30.0)
        with form.source_ids.edit(1) as source:
            source.divide = False
            source.milestone_number = 3
        self._apply(form)
        form = self._open(order)
        form.line_ids.remove(2)
        with form.line_ids.edit(1) as row:
            row.percentage = 60.0
        with form.source_ids.edit(1) as source:
            self.assertEqual(source.milestone_number, 3)
            source.divide = True
        self.assertFalse(form.problem)
        planner = form.save()
        self.assertEqual(planner.source_ids.mapped("milestone_number"), [0, 0])
        planner.source_ids[1].milestone_number = 3  # as a client may send it
        self.assertFalse(planner.problem)
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [440.0, 659.99])

    def test_a_line_of_a_milestone_that_is_not_there(self):
        order = self._create_quotation(self.consulting, self.hardware)
        form = self._open(order)
        self._type(form, "percentage", 100.0)
        with form.source_ids.edit(1) as source:
            source.milestone_number = 3
        self.assertIn("Hardware is to belong to milestone 3, and there are 1", form.problem)
        with self.assertRefused("there are 1"):
            self._apply(form)

    # -- again, and back -----------------------------------------------------------------------------------

    def test_the_present_plan_is_shown(self):
        order = self._create_quotation(self.consulting, self.hosting, self.hardware)
        form = self._open(order)
        self._type(form, "percentage", 100 / 3, 200 / 3)
        with form.source_ids.edit(2) as source:
            source.milestone_number = 1
        self._apply(form)
        again = self._open(order)
        self.assertEqual((again.method, again.split_by, again.problem), ("manual", "percentage", ""))
        planner = again.save()
        self.assertEqual(planner.line_ids.milestone_id, order.milestone_ids)
        self.assertEqual(planner.source_ids.mapped("milestone_number"), [0, 0, 1])
        self.assertEqual(planner.source_ids.mapped("divide"), [True, True, False])
        self.assertEqual(planner.source_ids.mapped("amount_untaxed"), [1000.0, 99.99, 500.0])
        self.assertShown(planner, order)

    def test_milestones_that_stay_keep_their_records(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 30.0, 30.0, 40.0)
        self._apply(form)
        first, second, third = order.milestone_ids
        first.write({"description": "<p>Scope</p>", "deliverable_ids": [Command.create({"name": "Paper"})]})
        first.message_post(body="Remember me")
        form = self._open(order)
        form.line_ids.remove(1)
        self.assertEqual(form.removed_names, second.name)
        with form.line_ids.edit(0) as row:
            row.percentage = 60.0
            row.name = "Start"
        planner = form.save()
        planner.action_apply()
        self.assertShown(planner, order)
        self.assertEqual(order.milestone_ids, first | third)
        self.assertFalse(second.exists())
        self.assertEqual((first.name, first.deliverable_ids.name), ("Start", "Paper"))
        self.assertIn("Remember me", "".join(first.message_ids.mapped("body")))
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [659.99, 440.0])

    def test_planning_anew_says_when_it_takes_back_what_was_changed_since(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 50.0, 50.0)
        self._apply(form)
        form = self._open(order)
        self.assertFalse(form.changes_amount)
        before = order.amount_untaxed
        self.env["sale.order.discount"].with_context(active_id=order.id, active_model="sale.order").create(
            {"sale_order_id": order.id, "discount_type": "sol_discount", "discount_percentage": 0.1}
        ).action_apply_discount()
        form = self._open(order)
        self.assertTrue(form.changes_amount)
        self.assertEqual((form.amount_before, form.amount_order), (before, order.amount_untaxed))
        self.assertLess(order.amount_untaxed, before)

    def test_a_template_keeps_milestones_of_the_same_name(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 50.0, 50.0)
        with form.line_ids.edit(1) as row:
            row.name = "Launch"
        self._apply(form)
        launch = order.milestone_ids[1]
        form = self._open(order)
        form.method = "template"
        form.template_id = self.template
        self._apply(form)
        self.assertEqual(order.milestone_ids[4], launch)
        self.assertEqual(len(order.milestone_ids), 5)

    def test_done_again_and_undone_it_is_the_quotation_of_before(self):
        order = self._create_quotation(self.consulting, self.hosting, self.hardware)
        before, total = self._remember(order), order.amount_total
        for shares in ((30.0, 70.0), (12.34, 56.78, 30.88), (99.0, 1.0)):
            form = self._open(order)
            for _row in range(len(form.line_ids)):
                form.line_ids.remove(0)
            self._type(form, "percentage", *shares)
            self._apply(form)
            self.assertEqual(order.amount_total, total)
        planner = self._open(order).save()
        self.assertTrue(planner.has_plan)
        planner.action_undo()
        self.assertFalse(order.milestone_ids)
        self.assertEqual(self._remember(order), before)

    def test_milestones_made_by_hand_keep_their_lines(self):
        order = self._create_contract([1000.0, 500.0], confirm=False).with_user(self.salesperson)
        form = self._open(order)
        self.assertEqual([row["whole_amount"] for row in form.line_ids._records], [1000.0, 500.0])
        self.assertEqual((form.percentage_remainder, form.amount_remainder), (0.0, 0.0), "no share is missing")
        self._apply(form)
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [1000.0, 500.0])
        self._open(order).save().action_undo()
        self.assertFalse(order.milestone_ids)
        self.assertEqual(order.amount_untaxed, 1500.0, "no line is lost with its milestone")

    # -- refusals ------------------------------------------------------------------------------------------

    def test_shares_that_do_not_add_up(self):
        for split_by, shares, message in (
            ("percentage", (50.0, 49.0), r"^1 % of the price is not planned yet"),
            ("percentage", (50.0, 51.0), r"are 1 % more than the price"),
            ("percentage", (50.0, 0.0, 50.0), r"Part 2 has no share yet"),
            ("percentage", (150.0, -50.0), r"Part 2 is negative"),
            ("amount", (1000.0, 99.98), r"0\.01.* of the price is not planned yet"),
            ("amount", (1000.0, 100.0), r"0\.01.* more than the price"),
        ):
            with self.subTest(shares=shares):
                order = self._create_quotation()
                before = self._remember(order)
                form = self._open(order)
                self._type(form, split_by, *shares)
                self.assertRegex(form.problem, message)
                with self.assertRefused(message):
                    self._apply(form)
                self.assertFalse(order.milestone_ids)
                self.assertEqual(self._remember(order), before)

    def test_more_milestones_than_cents(self):
        order = self._create_quotation(self.hosting)
        order.order_line.price_unit = 0.02
        form = self._open(order)
        self._type(form, "percentage", 40.0, 30.0, 30.0)
        with self.assertRaises(UserError):
            self._apply(form)

    def test_percentages_of_nothing(self):
        form = self._open(self._create_contract([], confirm=False).with_user(self.salesperson))
        self._type(form, "percentage", 100.0)
        self.assertIn("There is no price to take percentages of", form.problem)

    def test_a_plan_without_milestones(self):
        form = self._open(self._create_quotation())
        form.method = "manual"
        with self.assertRefused("at least one milestone"):
            self._apply(form)

    def test_agreed_and_cancelled_orders(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 100.0)
        planner = form.save()
        order.action_confirm()
        for refused in (order.action_plan_milestones, planner.action_apply, planner.action_undo):
            with self.assertRefused("is confirmed: its milestone plan is agreed"):
                refused()
        cancelled = self._create_quotation()
        cancelled._action_cancel()
        with self.assertRefused("is cancelled. Set it to quotation"):
            cancelled.action_plan_milestones()

    def test_only_who_may_write_the_order(self):
        order = self._create_quotation()
        for role in ("employee", "project_manager", "reviewer", "invoicing"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                order.with_user(self.users[role]).action_plan_milestones()
        stranger = self._create_role_user("stranger", "sales_team.group_sale_salesman")
        with self.assertRaises(AccessError):
            order.with_user(stranger).action_plan_milestones()
        planner = self._open(order).save()
        with self.assertRaises(AccessError):
            planner.with_user(stranger).action_apply()

    def test_a_plan_is_about_its_order_only(self):
        order, other = self._create_quotation(), self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 100.0)
        planner = form.save()
        planner.source_ids[0].order_line_id = other.order_line[0]
        with self.assertRefused("Each row is a milestone of"):
            planner.action_apply()

    def test_a_milestone_has_one_row(self):
        order = self._create_quotation()
        form = self._open(order)
        self._type(form, "percentage", 50.0, 50.0)
        self._apply(form)
        planner = self._open(order).save()
        planner.line_ids[1].milestone_id = planner.line_ids[0].milestone_id
        with self.assertRefused("of its own"):
            planner.action_apply()

    def test_numbers_start_at_one(self):
        planner = self._open(self._create_quotation()).save()
        with self.assertRefused("numbered from 1"):
            planner.source_ids[0].write({"divide": False, "milestone_number": -1})
