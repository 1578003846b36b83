from datetime import date

from lxml import html

from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestPaymentPlan(MilestoneCommon, HttpCase):
    """What the client sees of the plan on the quotation's PDF and portal page."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 1000.0,
                    "contract_date": date(2027, 1, 31),
                    "deliverable_ids": [
                        Command.create({"name": "Wireframes", "acceptance_criteria": "All pages\nOn paper"}),
                        Command.create({"name": "Style guide"}),
                    ],
                },
                {"name": "Build <b>& test</b>", "amount_untaxed": 2000.0, "deliverable_ids": False},
            ],
            confirm=False,
            milestone_plan_display="detailed",
        )
        cls.first, cls.second = cls.order.milestone_ids
        cls.second.predecessor_ids = cls.first

    def _render(self, order):
        content, _type = self.env["ir.actions.report"]._render_qweb_html(
            "sale.report_saleorder", order.ids, data={"report_type": "pdf"}
        )
        return html.fromstring(content)

    def _open_portal(self, order):
        self.env.flush_all()
        response = self.url_open(order.get_portal_url())
        self.assertEqual(response.status_code, 200)
        return html.fromstring(response.content)

    def _read_rows(self, page):
        """Return the texts of the cells of the plan, row by row, or None when no plan is shown."""
        tables = page.xpath("//*[@name='milestone_payment_plan']//table")
        if not tables:
            return None
        return [
            [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
            for row in tables[0].xpath(".//tr")
        ]

    def test_the_display_is_a_choice_on_the_order_with_a_default_of_the_company(self):
        for display in ("none", "summary", "detailed"):
            with self.subTest(display=display):
                self.company.milestone_plan_display = display
                form = Form(self.env["sale.order"])
                form.partner_id = self.client_company
                self.assertEqual(form.milestone_plan_display, display)
        self.assertEqual(self.order.milestone_plan_display, "detailed")

    def test_pdf_and_portal_page_show_the_same_plan(self):
        for display in ("none", "summary", "detailed"):
            with self.subTest(display=display):
                self.order.milestone_plan_display = display
                printed, online = (
                    self._read_rows(self._render(self.order)),
                    self._read_rows(self._open_portal(self.order)),
                )
                self.assertEqual(printed is None, display == "none")
                self.assertEqual(online is None, display == "none")
                if printed:
                    self.assertEqual([row[1:] for row in printed], [row[1:] for row in online])

    def test_a_detailed_plan_has_deliverables_with_their_criteria(self):
        rows = self._read_rows(self._render(self.order))
        self.assertEqual(
            [row[0] for row in rows],
            [
                "Milestone",
                "1. Design Wireframes All pages On paper Style guide",
                "2. Build <b>& test</b> After 1",
                "Total",
            ],
        )
        self.assertEqual(
            rows[1][1:], ["01/31/2027", "33.33 %", "$ 1,000.00", "$ 150.00", "$ 1,150.00"], "dates of the language"
        )
        self.assertEqual(rows[-1][1:], ["", "100.00 %", "$ 3,000.00", "$ 450.00", "$ 3,450.00"])

    def test_a_summary_names_deliverables_without_criteria(self):
        self.order.milestone_plan_display = "summary"
        rows = self._read_rows(self._render(self.order))
        self.assertEqual(
            [row[0] for row in rows],
            ["Milestone", "1. Design Wireframes · Style guide", "2. Build <b>& test</b> After 1", "Total"],
        )

    def test_what_belongs_to_no_milestone_completes_the_sum(self):
        order = self._create_contract(
            [100.0],
            confirm=False,
            lines=[{"product_id": self.company_data["product_order_cost"].id, "price_unit": 50.0, "tax_ids": False}],
        )
        rows = self._read_rows(self._render(order))
        self.assertEqual(rows[-2][0], "Invoiced apart from the milestones")
        self.assertEqual(rows[-2][3:], ["$ 50.00", "$ 0.00", "$ 50.00"])
        self.assertEqual(rows[-1][2:], ["100.00 %", "$ 150.00", "$ 15.00", "$ 165.00"])

    def test_cancelled_milestones_and_plans_without_any_are_not_shown(self):
        self.order.action_confirm()
        self.first._write_protected({"state": "cancelled"})
        self.assertNotIn("1. Design", str(self._read_rows(self._render(self.order))))
        self.assertIsNone(self._read_rows(self._render(self._create_contract([], confirm=False))))

    def test_amounts_are_in_the_currency_and_words_in_the_language_of_the_client(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        yen = self.setup_other_currency("JPY", rates=[("1900-01-01", 150.0)])
        self.client_company.lang = "fr_FR"
        order = self._create_contract([{"amount_untaxed": 12345.0, "contract_date": date(2027, 1, 31)}], currency=yen)
        rows = self._read_rows(self._render(order))
        self.assertEqual(rows[1][1], "31/01/2027")
        amounts = [cell.replace("\u202f", " ").replace("\xa0", " ") for cell in rows[1][3:]]
        self.assertEqual(amounts, ["¥ 12 345", "¥ 1 852", "¥ 14 197"])

    def test_a_client_without_an_account_sees_the_plan_and_no_script(self):
        self.second.name = "<script>alert(1)</script>"
        self.first.deliverable_ids[0].acceptance_criteria = "<img src=x onerror=alert(1)>"
        page = self._open_portal(self.order)
        [plan] = page.xpath("//*[@name='milestone_payment_plan']")
        self.assertIn("<script>alert(1)</script>", plan.text_content())
        self.assertFalse(plan.xpath(".//script|.//img"))

    def test_the_advance_is_told_even_where_the_plan_is_not_shown(self):
        self.order.write({"milestone_advance_type": "percentage", "milestone_advance_percentage": 12.5})
        for display in ("none", "summary"):
            self.order.milestone_plan_display = display
            for page in (self._render(self.order), self._open_portal(self.order)):
                [terms] = page.xpath("//*[@name='milestone_advance']")
                self.assertIn("Advance of 12.5 % of the milestones", " ".join(terms.text_content().split()))
        self.order.milestone_advance_type = "none"
        self.assertFalse(self._render(self.order).xpath("//*[@name='milestone_advance']"))

    def test_the_cost_of_a_page_does_not_grow_with_the_plan(self):
        def count_queries(number, display):
            order = self._create_contract([10.0] * number, confirm=False, milestone_plan_display=display)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self._render(order)
            return self.env.cr.sql_log_count - before

        count_queries(1, "detailed")  # warm
        for display in ("summary", "detailed"):
            few, many = (count_queries(number, display) - count_queries(number, "none") for number in (3, 30))
            self.assertLessEqual(many, few)
