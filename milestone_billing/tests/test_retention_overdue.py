from ast import literal_eval
from datetime import timedelta

from freezegun import freeze_time
from lxml import etree, html

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from .retention_common import RetentionCommon


class OverdueCommon(RetentionCommon):
    """Invoices whose due date passed long ago."""

    def _bill_long_ago(self, amounts=(1000.0,), **values):
        terms = {"payment_term_id": self.env.ref("account.account_payment_term_immediate").id}
        order = self._create_retained([*amounts], milestone_invoice_policy="draft", **{**terms, **values})
        invoices = self._bill(order.milestone_ids)
        invoices.invoice_date = self.today - timedelta(days=60)
        invoices.action_post()
        return order, invoices


@tagged("post_install", "-at_install")
class TestRetentionOverdue(OverdueCommon):
    """An invoice is overdue when its trade part is, or what is released: not because something is retained."""

    def _get_filtered(self, invoices):
        """Return what the filter Overdue of the list leaves of the invoices."""
        arch = self.env["account.move"].get_view(self.env.ref("account.view_account_invoice_filter").id, "search")
        [late] = etree.fromstring(arch["arch"]).xpath("//filter[@name='late']")
        domain = fields.Domain(literal_eval(late.get("domain"))) & fields.Domain("id", "in", invoices.ids)
        return self.env["account.move"].with_user(self.users["invoicing"]).search(domain).with_env(self.env)

    def _get_late_count(self, invoices):
        journal = invoices.journal_id.with_user(self.users["accountant"])
        return journal._get_journal_dashboard_data_batched()[journal.id]["number_late"]

    def assertOverdue(self, overdue, invoices):
        """The filter, the dashboard and each invoice agree on which of the invoices are overdue."""
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self._get_filtered(invoices), overdue)
        is_open = invoices.filtered(lambda invoice: invoice.payment_state in ("not_paid", "partial"))
        self.assertEqual(is_open.filtered("is_past_due"), overdue)
        known = self._get_filtered(self.env["account.move"].search([("journal_id", "=", invoices.journal_id.id)]))
        self.assertEqual(self._get_late_count(invoices), len(known))

    def test_a_paid_trade_part_is_not_overdue(self):
        _order, invoices = self._bill_long_ago([1000.0, 2000.0])
        self.assertOverdue(invoices, invoices)
        self._pay(invoices[0])
        self.assertLess(invoices[0].invoice_date_due, self.today, "printed, and stays")
        self.assertOverdue(invoices[1], invoices)
        self._pay(invoices[1], 100.0)
        self.assertOverdue(invoices[1], invoices)

    def test_what_is_released_is_overdue_after_its_due_date(self):
        order, invoice = self._bill_long_ago()
        self._pay(invoice)
        due = self.today + timedelta(days=30)
        self._release(order, due_date=due)
        nothing = invoice.browse()
        self.assertOverdue(nothing, invoice)
        with freeze_time(due):
            self.assertOverdue(nothing, invoice)
        with freeze_time(due + timedelta(days=2)):
            self.assertOverdue(invoice, invoice)
            self._pay(invoice)
            self.assertOverdue(nothing, invoice)

    def test_of_what_is_released_in_part_only_that_part_is_overdue(self):
        order, invoice = self._bill_long_ago()
        self._pay(invoice)
        self._release(order, 40.0, due_date=self.today - timedelta(days=5))
        self._release(order, 20.0, due_date=self.today + timedelta(days=5))
        self.assertOverdue(invoice, invoice)
        self._pay(invoice, 30.0)
        self.assertOverdue(invoice, invoice)
        self._pay(invoice, 10.0)
        self.assertOverdue(invoice.browse(), invoice)

    def test_a_release_that_was_cancelled_is_not_overdue(self):
        order, invoice = self._bill_long_ago()
        self._pay(invoice)
        release = self._release(order, due_date=self.today - timedelta(days=5))
        self.assertOverdue(invoice, invoice)
        release.with_user(self.users["accountant"]).action_cancel()
        self.assertOverdue(invoice.browse(), invoice)

    def test_a_release_may_be_overdue_before_the_trade_part(self):
        term = self.env["account.payment.term"].create(
            {"name": "90 days", "line_ids": [Command.create({"value": "percent", "value_amount": 100, "nb_days": 90})]}
        )
        order, invoice = self._bill_long_ago(payment_term_id=term.id)
        self.assertOverdue(invoice.browse(), invoice)
        self._release(order, due_date=self.today - timedelta(days=5))
        self.assertOverdue(invoice, invoice)

    def test_installments_of_the_trade_part_are_overdue_when_the_last_is(self):
        """As Odoo has it without a retention."""
        half = {"value": "percent", "value_amount": 50}
        term = self.env["account.payment.term"].create(
            {"name": "Halves", "line_ids": [Command.create({**half, "nb_days": days}) for days in (0, 90)]}
        )
        _order, kept = self._bill_long_ago(payment_term_id=term.id)
        _order, plain = self._bill_long_ago(payment_term_id=term.id, percentage=0.0)
        self.assertOverdue(kept.browse(), kept + plain)
        with freeze_time(self.today + timedelta(days=40)):
            self.assertOverdue(kept + plain, kept + plain)

    def test_documents_without_retention_are_overdue_by_their_date(self):
        _order, invoice = self._bill_long_ago(percentage=0.0)
        self.assertOverdue(invoice, invoice)
        self._pay(invoice, 100.0)
        self.assertOverdue(invoice, invoice)
        self._pay(invoice)
        self.assertOverdue(invoice.browse(), invoice)

    def test_what_is_not_overdue_is_found_too(self):
        _order, invoices = self._bill_long_ago([1000.0, 2000.0])
        self._pay(invoices[0])
        found = self.env["account.move"].search([("is_past_due", "=", False), ("id", "in", invoices.ids)])
        self.assertEqual(found, invoices[0])

    def test_the_list_shows_no_due_date_that_concerns_nobody(self):
        arch = self.env["account.move"].get_view(self.env.ref("account.view_out_invoice_tree").id, "list")["arch"]
        [due] = etree.fromstring(arch).xpath("//field[@name='invoice_date_due']")
        self.assertIn("not is_past_due", due.get("invisible"))
        self.assertIn("payment_state in ('paid', 'in_payment', 'reversed')", due.get("invisible"))


@tagged("post_install", "-at_install")
class TestRetentionOverduePortal(OverdueCommon, HttpCase):
    """Clients are told of what is overdue, and of nothing else."""

    def test_the_due_date_is_red_when_something_is_overdue(self):
        self.env["res.users"].create(
            {
                "name": "Client",
                "login": "overdue_client",
                "password": "overdue_client",
                "partner_id": self.client_company.id,
                "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
            }
        )
        order, invoices = self._bill_long_ago([1000.0, 2000.0])
        _order, plain = self._bill_long_ago(percentage=0.0)
        self._pay(invoices[0])
        self.authenticate("overdue_client", "overdue_client")
        self.assertEqual(self._get_red(invoices + plain), invoices[1] + plain)
        self._release(order, 50.0, due_date=self.today - timedelta(days=5))
        self.assertEqual(self._get_red(invoices + plain), invoices + plain)

    def _get_red(self, invoices):
        self.env.flush_all()
        page = html.fromstring(self.url_open("/my/invoices").text)
        names = page.xpath("//tr[td[contains(@class, 'text-danger')]]//a/@title")
        return invoices.filtered(lambda invoice: invoice.name in names)
