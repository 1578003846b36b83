from datetime import date

from freezegun import freeze_time
from lxml import html

from odoo.tests import tagged

from ..models.sale_order_timeline import MAX_ROWS
from .common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2030-01-01")
class TestTimeline(MilestoneCommon):
    """The milestones on a line of time: text for everybody, bars beside it."""

    def _create(self, *days, **values):
        amounts = [{"amount_untaxed": 100.0, "contract_date": day} for day in days]
        return self._create_contract(amounts, confirm=False, date_order="2030-01-01 12:00:00", **values)

    def test_bars_follow_each_other_up_to_the_dates(self):
        order = self._create(date(2030, 1, 11), date(2030, 1, 31), date(2030, 4, 11))
        timeline = order._get_timeline()
        self.assertEqual((timeline["start"], timeline["end"]), (date(2030, 1, 1), date(2030, 4, 11)))
        rows = timeline["rows"]
        self.assertEqual([row["name"] for row in rows], ["1. Milestone 1", "2. Milestone 2", "3. Milestone 3"])
        self.assertEqual(
            [(row["before"], row["width"], row["rest"]) for row in rows], [(0, 10, 90), (10, 20, 70), (30, 70, 0)]
        )
        self.assertEqual(rows[0]["day"], "01/11/2030")

    def test_a_milestone_begins_after_what_it_follows(self):
        order = self._create(date(2030, 1, 11), date(2030, 1, 31), date(2030, 4, 11))
        first, _second, third = order.milestone_ids
        third.predecessor_ids = first
        self.assertEqual(order._get_timeline()["rows"][2]["before"], 10)

    def test_bars_are_always_there_and_within_the_line(self):
        order = self._create(date(2030, 4, 11), date(2030, 4, 11), date(2029, 12, 1), date(2030, 1, 2))
        for row in order._get_timeline()["rows"]:
            self.assertGreaterEqual(row["before"], 0)
            self.assertGreaterEqual(row["width"], 1.5)
            self.assertGreaterEqual(row["rest"], 0)
            self.assertAlmostEqual(row["before"] + row["width"] + row["rest"], 100.0, 1)

    def test_one_day_is_a_line_too(self):
        order = self._create(date(2030, 1, 1))
        self.assertEqual(len(order._get_timeline()["rows"]), 1)

    def test_without_dates_there_is_none_and_what_has_none_is_named(self):
        self.assertEqual(self._create(False, False)._get_timeline(), {})
        order = self._create(date(2030, 1, 11), False)
        timeline = order._get_timeline()
        self.assertEqual(len(timeline["rows"]), 1)
        self.assertEqual(timeline["undated"], order.milestone_ids[1])

    def test_cancelled_milestones_are_left_out(self):
        order = self._create(date(2030, 1, 11), date(2030, 1, 31))
        order.milestone_ids[0]._write_protected({"state": "cancelled"})
        self.assertEqual(len(order._get_timeline()["rows"]), 1)

    def test_hundreds_of_milestones_are_drawn_by_period(self):
        days = [date(2030 + number // 24, number % 24 // 2 + 1, 1 + number % 2 * 14) for number in range(120)]
        timeline = self._create(*days)._get_timeline()
        self.assertLessEqual(len(timeline["rows"]), MAX_ROWS)
        self.assertEqual(len(timeline["rows"]), 20, "the quarters of five years")
        self.assertEqual({row["day"] for row in timeline["rows"]}, {"6 milestones"})

    def test_late_and_approved_are_said_in_words(self):
        order = self._create(date(2030, 1, 11), date(2030, 1, 31))
        order.action_confirm()
        self._approve(order.milestone_ids[0])
        with freeze_time("2030-02-02"):
            timeline = order._get_timeline()
            page = self.env["ir.qweb"]._render("milestone_billing.milestone_timeline", {"order": order})
        self.assertEqual([(row["done"], row["late"]) for row in timeline["rows"]], [(True, False), (False, True)])
        text = html.fromstring(page).text_content()
        self.assertIn("(approved)", text)
        self.assertIn("(late)", text)

    def test_names_are_escaped_and_bars_are_silent(self):
        order = self._create(date(2030, 1, 11))
        order.milestone_ids.name = "<script>alert(1)</script>"
        page = str(self.env["ir.qweb"]._render("milestone_billing.milestone_timeline", {"order": order}))
        self.assertNotIn("<script", page)
        self.assertTrue(html.fromstring(page).xpath("//table[@aria-hidden='true']"))

    def test_pdf_and_plan_display(self):
        order = self._create(date(2030, 1, 11))
        report = self.env["ir.actions.report"]
        self.assertIn(b"milestone_timeline", report._render_qweb_html("sale.action_report_saleorder", order.ids)[0])
        order.milestone_plan_display = "none"
        self.assertNotIn(b"milestone_timeline", report._render_qweb_html("sale.action_report_saleorder", order.ids)[0])
