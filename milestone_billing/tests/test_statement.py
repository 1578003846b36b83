from datetime import timedelta
from unittest.mock import patch

from lxml import html

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from odoo.addons.milestone_billing.models.sale_order_statement import FIRST_PAGE_LINES, LETTERS_PER_LINE, PAGE_LINES

from .retention_common import RetentionCommon


class StatementCommon(RetentionCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.downpayment_account_id = cls.env["account.account"].create(
            {"code": "2MSSTM", "name": "Advances received", "account_type": "liability_current"}
        )

    def assertIsLedger(self, order):
        """What the statement adds up to is what the posted documents of the order say, to the cent."""
        values = order._get_statement_values()
        currency = order.currency_id
        moves = order.invoice_ids.filtered(lambda move: move.state == "posted")
        for name, field in (("untaxed", "amount_untaxed"), ("tax", "amount_tax"), ("total", "amount_total")):
            ledger = sum(-move.direction_sign * move[field] for move in moves)
            self.assertMoney(currency, values[name]["to_date"], ledger, f"{name}: {values[name]} / {ledger}")
        self.assertMoney(currency, values["retained"]["to_date"], order.retention_retained)
        self.assertMoney(currency, sum(row["retained"] for row in values["rows"]), order.retention_retained)
        for name, field in (("contract", "original"), ("changes", "changes"), ("revised", "revised")):
            self.assertMoney(currency, values["subtotal"][name], order[f"milestone_{field}_amount"])
        for row in values["rows"]:
            self.assertMoney(currency, row["to_date"], row["milestone"].amount_invoiced)
            self.assertMoney(currency, row["revised"], row["to_date"] + row["remaining"])
        for name in ("previous", "current", "to_date"):
            parts = values["billed"][name] + values["advance_invoiced"][name] - values["advance_recovered"][name]
            self.assertMoney(currency, values["untaxed"][name], parts)
            self.assertMoney(currency, values["billed"][name], values["subtotal"][name] + values["other"][name])
        for move in moves:
            self.assertDocumentAddsUp(move)

    def assertDocumentAddsUp(self, move):
        values = move._get_statement_values()
        self.assertMoney(move.currency_id, values["total"], -move.direction_sign * move.amount_total)
        total = sum(statement["total"]["current"] for statement in values["statements"])
        if not values["unrelated"]:
            self.assertMoney(move.currency_id, total, values["total"])
        for statement in values["statements"]:
            for row in statement["rows"]:
                self.assertMoney(move.currency_id, row["to_date"], row["previous"] + row["current"])

    def _read(self, order, invoice, name):
        statement = next(part for part in invoice._get_statement_values()["statements"] if part["order"] == order)
        return [row[name] for row in statement["rows"]]


@tagged("post_install", "-at_install")
class TestStatement(StatementCommon):
    """What was billed before, what an invoice bills, and what is left."""

    def test_an_invoice_states_before_now_and_left(self):
        order = self._create_contract([1000.0, 500.0, 333.33])
        first, second = self._bill(order.milestone_ids[0]), self._bill(order.milestone_ids[1])
        self.assertEqual(self._read(order, second, "previous"), [1000.0, 0.0, 0.0])
        self.assertEqual(self._read(order, second, "current"), [0.0, 500.0, 0.0])
        self.assertEqual(self._read(order, second, "percent"), [100.0, 100.0, 0.0])
        self.assertEqual(self._read(order, second, "remaining"), [0.0, 0.0, 333.33])
        self.assertEqual(self._read(order, first, "to_date"), [1000.0, 0.0, 0.0])
        self.assertEqual(self._read(order, first, "changes"), [0.0, 0.0, 0.0])
        self.assertIsLedger(order)

    def test_an_old_statement_stays_as_it_was(self):
        order = self._create_retained([1000.0, 500.0])
        first = self._bill(order.milestone_ids[0])
        before = first._get_statement_values()
        self._bill(order.milestone_ids[1])
        self._credit(first)
        self.env.invalidate_all()
        self.assertEqual(first._get_statement_values(), before)

    def test_what_is_posted_later_with_an_earlier_date_comes_before(self):
        order = self._create_contract([1000.0, 500.0], milestone_invoice_policy="draft")
        first = self._bill(order.milestone_ids[0])
        first.action_post()
        second = self._bill(order.milestone_ids[1]) - first
        self.assertEqual(self._read(order, first, "previous"), [0.0, 0.0])
        second.invoice_date = first.invoice_date - timedelta(days=1)
        second.action_post()
        self.assertEqual(self._read(order, first, "previous"), [0.0, 500.0])
        self.assertEqual(self._read(order, second, "previous"), [0.0, 0.0])
        second.button_draft()
        self.assertEqual(self._read(order, first, "previous"), [0.0, 0.0])

    def test_credit_and_billing_again(self):
        order = self._create_retained([1000.01, 500.0])
        invoice = self._bill(order.milestone_ids[0])
        credit = self._credit(invoice, edit=self._edit_lines(0.3))
        self.assertEqual(self._read(order, credit, "current"), [-300.0, 0.0])
        self.assertIsLedger(order)
        order.milestone_ids[0].with_user(self.users["invoicing"]).action_rebill()
        order.milestone_ids[0].with_user(self.users["invoicing"]).action_create_invoices()
        again = self._invoices(order.milestone_ids[0]) - invoice
        again.filtered(lambda move: move.state == "draft").action_post()
        self.assertEqual(self._read(order, again, "previous"), [700.01, 0.0])
        self.assertEqual(self._read(order, again, "to_date"), [1000.01, 0.0])
        self.assertIsLedger(order)

    def test_advance_and_retention(self):
        order = self._create_retained(
            [1000.0, 500.0],
            milestone_advance_type="percentage",
            milestone_advance_percentage=20.0,
            milestone_advance_policy="automatic",
        )
        self._run_queue()
        invoice = self._bill(order.milestone_ids[0])
        statement = invoice._get_statement_values()["statements"][0]
        self.assertEqual(statement["advance_invoiced"], {"previous": 300.0, "current": 0.0, "to_date": 300.0})
        self.assertEqual(statement["advance_recovered"], {"previous": 0.0, "current": 200.0, "to_date": 200.0})
        self.assertEqual(statement["advance_remaining"], 100.0)
        self.assertEqual(statement["retained"]["current"], 100.0)
        self.assertEqual(statement["untaxed"]["current"], 800.0)
        self.assertEqual(statement["total"]["current"], 920.0)
        self.assertEqual(statement["due"]["current"], 820.0)
        self.assertEqual([row["advance_recovered"] for row in statement["rows"]], [200.0, 0.0])
        self.assertEqual([row["retained"] for row in statement["rows"]], [100.0, 0.0])
        self._bill(order.milestone_ids[1])
        self.assertIsLedger(order)
        self.assertEqual(order._get_statement_values()["advance_remaining"], 0.0)

    def test_free_lines_are_other_lines(self):
        order = self._create_contract(
            [1000.0], lines=[{"product_id": self.milestone_product.id, "price_unit": 77.77, "product_uom_qty": 3.0}]
        )
        self._bill(order.milestone_ids)
        free = order._create_invoices()
        free.action_post()
        values = free._get_statement_values()["statements"][0]
        self.assertEqual(values["other"]["current"], 233.31)
        self.assertEqual(values["subtotal"]["previous"], 1000.0)
        self.assertIsLedger(order)

    def test_one_block_per_order_of_a_consolidated_invoice(self):
        orders = self._create_contract([33.33, 10.0]) | self._create_contract([66.67])
        self.company.tax_calculation_rounding_method = "round_globally"
        milestones = orders[0].milestone_ids[0] | orders[1].milestone_ids
        self.company.milestone_invoice_grouping = "customer"
        invoice = self._bill(milestones)
        self.assertEqual(len(invoice), 1)
        values = invoice._get_statement_values()
        self.assertEqual([part["order"] for part in values["statements"]], list(orders))
        self.assertEqual([part["subtotal"]["current"] for part in values["statements"]], [33.33, 66.67])
        self.assertDocumentAddsUp(invoice)
        self.assertMoney(invoice.currency_id, values["tax"], invoice.amount_tax)

    def test_a_draft_is_stated_on_top_of_what_is_posted(self):
        order = self._create_contract([1000.0, 500.0], milestone_invoice_policy="draft")
        draft = self._bill(order.milestone_ids[0])
        self.assertEqual(draft.state, "draft")
        self.assertEqual(self._read(order, draft, "current"), [1000.0, 0.0])
        self.assertEqual(order._get_statement_values()["billed"]["to_date"], 0.0)

    def test_a_currency_without_cents(self):
        currency = self._create_currency("STM", 1.0, {"2020-01-01": 7.0})
        order = self._create_retained([1001.0, 500.0], percentage=3.0, currency=currency)
        self._bill(order.milestone_ids[0])
        self._bill(order.milestone_ids[1])
        self.assertIsLedger(order)

    def test_only_readers_of_the_document_get_its_statement(self):
        order = self._create_contract([1000.0])
        invoice = self._bill(order.milestone_ids)
        for record in (order, invoice):
            with self.assertRaises(AccessError):
                record.with_user(self.users["employee"])._get_statement_values()
        self.assertTrue(invoice.with_user(self.users["invoicing"])._get_statement_values()["statements"])

    def test_an_invoice_without_contract_has_none(self):
        invoice = self.init_invoice("out_invoice", products=self.milestone_product, post=True)
        self.assertFalse(invoice.has_milestone_statement)
        self.assertFalse(invoice._is_statement_attached())

    # -- the mail of the invoice -----------------------------------------------------------------------

    def _send(self, invoice):
        rendered = []

        def render(report, report_ref, res_ids, data=None):
            rendered.append((report_ref, res_ids))
            return b"%PDF-1.4", "pdf"

        with patch.object(type(self.env["ir.actions.report"]), "_render", render):
            self.env["account.move.send"]._generate_and_send_invoices(
                invoice, sending_methods=["email"], allow_fallback_pdf=True
            )
        message = invoice.message_ids.filtered("attachment_ids")[:1]
        return rendered, message.attachment_ids.mapped("name")

    def test_the_mail_carries_it_by_policy(self):
        self.company.milestone_statement_policy = "attach"
        order = self._create_contract([1000.0])
        self.assertEqual(order.milestone_statement_policy, "attach")
        invoice = self._bill(order.milestone_ids)
        self.assertFalse(self.env["ir.attachment"].search([("name", "like", "Statement%")]), "made with the mail")
        rendered, names = self._send(invoice)
        self.assertIn(("milestone_billing.report_statement", invoice.ids), rendered)
        self.assertIn(invoice._get_statement_filename(), names)

    def test_the_mail_goes_without_it_otherwise(self):
        invoice = self._bill(self._create_contract([1000.0]).milestone_ids)
        rendered, names = self._send(invoice)
        self.assertFalse([name for name in names if "Statement" in name])
        self.assertNotIn("milestone_billing.report_statement", [report for report, _ids in rendered])

    def test_the_reports_render(self):
        order = self._create_retained([1000.0] * 3)
        invoice = self._bill(order.milestone_ids[0])
        Report = self.env["ir.actions.report"]
        page = Report._render_qweb_html("milestone_billing.report_statement", invoice.ids)[0].decode()
        self.assertIn(invoice.name, page)
        self.assertIn("Previously Billed", page)
        self.assertIn("This Invoice", page)
        self.assertIn("Payable after retention", page)
        page = Report._render_qweb_html("milestone_billing.report_order_statement", order.ids)[0].decode()
        self.assertIn("Milestone 3", page)
        self.assertNotIn("Previously Billed", page)
        credit = self._credit(invoice)
        page = Report._render_qweb_html("milestone_billing.report_statement", credit.ids)[0].decode()
        self.assertIn("This Credit Note", page)
        self.assertNotIn("This Invoice", page)

    # -- the pages of the PDF ----------------------------------------------------------------------------

    def _print_tables(self, order):
        report = "milestone_billing.report_order_statement"
        content = self.env["ir.actions.report"]._render_qweb_html(report, order.ids)[0]
        return html.fromstring(content).xpath("//table[contains(@class, 'o_milestone_statement_table')]")

    def test_each_page_of_a_long_statement_has_a_head(self):
        number = FIRST_PAGE_LINES + PAGE_LINES + 1
        tables = self._print_tables(self._create_contract([10.0] * number))
        self.assertEqual([len(table.xpath("./thead")) for table in tables], [1, 1, 1])
        for table in tables:
            self.assertIn("page-break-inside: avoid", table.getparent().get("style"))
        headings = [table.getparent().xpath("./h4") for table in tables]
        self.assertEqual([len(heading) for heading in headings], [1, 0, 0], "the contract is named once, by its table")
        rows = [table.xpath("./tbody/tr/td[1]") for table in tables]
        self.assertEqual([len(page) for page in rows], [FIRST_PAGE_LINES, PAGE_LINES, 2], "the sums come last")
        numbers = [cell.text_content().strip() for page in rows for cell in page]
        self.assertEqual(numbers, [*(str(row) for row in range(1, number + 1)), ""])

    def test_a_short_statement_is_one_table(self):
        [table] = self._print_tables(self._create_contract([10.0] * FIRST_PAGE_LINES))
        self.assertEqual(len(table.xpath("./tbody/tr")), FIRST_PAGE_LINES + 1)

    def test_long_names_take_more_room_on_a_page(self):
        long = "x" * 2 * LETTERS_PER_LINE
        order = self._create_contract([{"name": long, "amount_untaxed": 10.0}] * FIRST_PAGE_LINES)
        self.assertEqual(len(self._print_tables(order)[0].xpath("./tbody/tr")), FIRST_PAGE_LINES // 3)
        endless = self._create_contract([{"name": "x" * LETTERS_PER_LINE * 40, "amount_untaxed": 10.0}])
        self.assertEqual(len(self._print_tables(endless)), 1, "a row that fits on no page is not put off for ever")


@tagged("post_install", "-at_install")
class TestStatementPortal(StatementCommon, HttpCase):
    """A statement opens to whom its document opens."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 500.0])
        cls.invoice = cls._bill(cls.order.milestone_ids[0])
        group = cls.env.ref("base.group_portal")
        cls.env["res.users"].create(
            [
                {
                    "name": partner.name,
                    "login": login,
                    "password": login,
                    "partner_id": partner.id,
                    "group_ids": [Command.set(group.ids)],
                }
                for partner, login in ((cls.client_company, "stm_client"), (cls.stranger, "stm_stranger"))
            ]
        )

    def _paths(self):
        return [f"/my/invoices/{self.invoice.id}/statement", f"/my/orders/{self.order.id}/statement"]

    def test_no_wrong_or_other_token_opens_it(self):
        tokens = ["", "?access_token=wrong", f"?access_token={self.order._portal_ensure_token()}"]
        for token in tokens:
            response = self.url_open(self._paths()[0] + token, allow_redirects=False)
            self.assertIn(response.status_code, (302, 303), token)
        response = self.url_open(f"/my/invoices/{2**40}/statement", allow_redirects=False)
        self.assertIn(response.status_code, (302, 303))

    def test_the_token_of_the_document_opens_it(self):
        for record, path in zip((self.invoice, self.order), self._paths(), strict=True):
            response = self.url_open(f"{path}?access_token={record._portal_ensure_token()}")
            self.assertEqual(response.status_code, 200)
            self.assertIn("o_milestone_statement", response.text)
            self.assertIn("no-store", response.headers["Cache-Control"])

    def test_the_page_marks_what_is_cancelled(self):
        order = self._create_contract([10.0, 20.0])
        request = self.env["sale.change.request"].create(
            {
                "order_id": order.id,
                "title": "Less",
                "reason": "Less is more.",
                "line_ids": [Command.create({"action": "cancel", "milestone_id": order.milestone_ids[0].id})],
            }
        )
        request.action_submit()
        request._approve(self._evidence(request))
        page = self.url_open(f"/my/orders/{order.id}/statement?access_token={order._portal_ensure_token()}")
        [table] = html.fromstring(page.content).xpath("//table[contains(@class, 'o_milestone_statement_table')]")
        first = table.xpath("./tbody/tr")[0].text_content()
        self.assertIn("(cancelled)", first)
        self.assertIn("-10.00", first.replace("\ufeff", ""))
        small = table.xpath("./tbody/tr[1]//div[contains(@class, 'd-lg-none')]")[0].text_content().replace("\ufeff", "")
        self.assertIn("Contract 10.00 · Changes -10.00 · Revised 0.00 ·", " ".join(small.split()))

    def test_the_page_shows_one_table_however_long_it_is(self):
        order = self._create_contract([10.0] * (FIRST_PAGE_LINES + PAGE_LINES))
        page = self.url_open(f"/my/orders/{order.id}/statement?access_token={order._portal_ensure_token()}")
        [table] = html.fromstring(page.content).xpath("//table[contains(@class, 'o_milestone_statement_table')]")
        self.assertEqual(len(table.xpath("./tbody/tr")), FIRST_PAGE_LINES + PAGE_LINES + 1)

    def test_a_login_of_the_client_opens_it_and_no_other(self):
        self.authenticate("stm_client", "stm_client")
        for path in self._paths():
            self.assertIn("o_milestone_statement", self.url_open(path).text)
        self.assertIn("invoice_statement", self.url_open(f"/my/invoices/{self.invoice.id}").text)
        self.assertIn("order_statement", self.url_open(f"/my/orders/{self.order.id}").text)
        self.authenticate("stm_stranger", "stm_stranger")
        for path in self._paths():
            self.assertNotIn("o_milestone_statement", self.url_open(path).text)
