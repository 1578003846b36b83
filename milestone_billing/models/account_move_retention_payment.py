from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .sale_order_retention import UNRELEASED


class AccountMove(models.Model):
    """What is asked for of an invoice with a retention, and how the invoice says so.

    Clients read it too, on invoices that are theirs: journal items are read in superuser mode.
    """

    _inherit = "account.move"

    retention_statement = fields.Char(string="Retention Terms", compute="_compute_retention_statement")

    @api.depends(
        "retention_amount",
        "line_ids.amount_residual_currency",
        "line_ids.date_maturity",
        "line_ids.retention_released",
        "line_ids.retention_release_line_ids.amount",
    )
    def _compute_retention_statement(self):
        for move in self:
            move.retention_statement = move._get_retention_statement()

    def _is_eligible_for_early_payment_discount(self, currency, reference_date):
        if self.line_ids.retention_order_id:
            return False
        return super()._is_eligible_for_early_payment_discount(currency, reference_date)

    @api.depends("retention_amount")
    def _compute_show_payment_term_details(self):
        super()._compute_show_payment_term_details()
        for move in self.filtered(lambda move: move.retention_amount):
            move.show_discount_details = False
            trade = move.line_ids.filtered(
                lambda line: line.display_type == "payment_term" and not line.retention_order_id
            )
            move.show_payment_term_details = move.show_payment_term_details and len(trade) > 1

    @api.depends("retention_amount")
    def _compute_payment_term_details(self):
        """Installments are of the trade part: the retention is told apart, in words."""
        super()._compute_payment_term_details()
        for move in self.filtered(lambda move: move.retention_amount and move.show_payment_term_details):
            sign = 1 if move.is_inbound(include_receipts=True) else -1
            trade = move.line_ids.filtered(
                lambda line: line.display_type == "payment_term" and not line.retention_order_id
            )
            move.payment_term_details = [
                {"date": format_date(self.env, line.date_maturity), "amount": sign * line.amount_currency}
                for line in trade.sorted("date_maturity")
            ]

    def js_assign_outstanding_line(self, line_id):
        """Say why a credit of the trade account pays no retention, where Odoo does nothing and says nothing.

        :raises UserError: when nothing but the retention is open, and the credit is on another account
        """
        self.ensure_one()
        credit = self.env["account.move.line"].browse(line_id)
        terms = self.line_ids.filtered(lambda line: line.display_type == "payment_term" and not line.reconciled)
        accounts = terms.account_id
        if terms.retention_order_id and credit.exists() and credit.account_id not in accounts:
            raise UserError(
                self.env._(
                    "What is open of %(invoice)s is its retention, on the account %(retention)s, and this credit is on "
                    "%(credit)s. If the client pays the retention with it, move the credit to %(retention)s by a "
                    "journal entry with the client as partner, and add that entry here.",
                    invoice=self.display_name,
                    retention=", ".join(accounts.mapped("display_name")),
                    credit=credit.account_id.display_name,
                )
            )
        return super().js_assign_outstanding_line(line_id)

    def _get_retention_withheld(self):
        """Return what of the residual is not asked for: retained, and neither released nor paid."""
        self.ensure_one()
        items = self.sudo().line_ids.filtered(lambda line: line.retention_order_id and not line.reconciled)
        return sum(max(line.amount_residual_currency - line._get_retention_owed(), 0.0) for line in items)

    def _get_overdue_trade_residual(self):
        """Return what is overdue of the part that is not retained."""
        self.ensure_one()
        today = fields.Date.context_today(self)
        trade = self.sudo().line_ids.filtered(
            lambda line: (
                line.display_type == "payment_term"
                and not line.retention_order_id
                and line.date_maturity
                and line.date_maturity < today
            )
        )
        return sum(trade.mapped("amount_residual_currency"))

    def _get_invoice_next_payment_values(self, custom_amount=None):
        """Ask for the trade part, then for what is released; never for what is withheld."""
        values = super()._get_invoice_next_payment_values(custom_amount=custom_amount)
        if not values or not self.retention_amount or self.move_type != "out_invoice":
            return values
        asked = [part for part in values["not_reconciled_installments"] if not part.get("withheld")]
        # one payment goes to one account
        trade = [part for part in asked if not part["line"].retention_order_id]
        asked = trade or asked
        overdue = [part for part in asked if part["type"] == "overdue"]
        # what several contracts released to the same day is paid at once
        now = overdue or [part for part in asked if part["date_maturity"] == asked[0]["date_maturity"]]
        amount_due = sum(part["amount_residual_currency_unsigned"] for part in asked)
        values.update(
            not_reconciled_installments=asked,
            amount_due=amount_due,
            is_last_installment=len(asked) <= 1,
            installment_state=("overdue" if overdue else "next") if len(asked) > len(now) or overdue else None,
        )
        if custom_amount is None:
            values.update(
                next_amount_to_pay=sum(part["amount_residual_currency_unsigned"] for part in now),
                next_due_date=now[0]["date_maturity"] if now else self.invoice_date_due,
                next_payment_reference=self.name,
            )
        elif self.currency_id.compare_amounts(custom_amount, amount_due) > 0:
            values.update(next_amount_to_pay=amount_due)
        return values

    def _get_asked_amount(self):
        """Return what the client should pay by one payment: the trade part, later what is released."""
        self.ensure_one()
        return self._get_invoice_next_payment_values().get("amount_due", self.amount_residual)

    def _get_portal_payment_link(self):
        """The link of the QR code on the invoice asks for what its text asks for."""
        if not self.retention_amount:
            return super()._get_portal_payment_link()
        wizard = self.env["payment.link.wizard"].with_context(active_id=self.id, active_model=self._name)
        return wizard.create({"amount": self._get_asked_amount(), "res_model": self._name, "res_id": self.id}).link

    @api.depends("retention_statement")  # that says what is due
    def _compute_display_link_qr_code(self):
        super()._compute_display_link_qr_code()
        for move in self.filtered(lambda move: move.display_link_qr_code and move.retention_amount):
            move.display_link_qr_code = not move.currency_id.is_zero(move._get_asked_amount())

    def _generate_qr_code(self, silent_errors=False):
        """The QR code for the client's bank asks for what the text of the invoice asks for."""
        if self.retention_amount:
            asked = self._get_asked_amount()
            if self.currency_id.is_zero(asked):
                return None
            self = self.with_context(retention_asked_amount=asked)
        return super()._generate_qr_code(silent_errors=silent_errors)

    def _has_to_be_paid(self):
        if not super()._has_to_be_paid():
            return False
        if not self.retention_amount:
            return True
        asked = self.currency_id.round(self.amount_residual - self._get_retention_withheld())
        return self.currency_id.compare_amounts(asked, 0.0) > 0

    def _get_retention_statement(self):
        """Return a line for the invoice, its PDF and its portal page, or an empty string."""
        self.ensure_one()
        items = self.sudo().line_ids.filtered("retention_order_id")
        if not items:
            return ""
        money = self.currency_id.format
        if self.move_type == "out_refund":
            return self.env._("Retention given back: %(amount)s", amount=money(self.retention_amount))
        net = sum(item._get_retention_net() for item in items)
        released = sum(item.retention_released for item in items)
        days = [item.date_maturity for item in items if item.date_maturity != UNRELEASED]
        until = (
            self.env._("until %(date)s", date=format_date(self.env, max(days)))
            if len(days) == len(items)
            else self.env._("until its release")
        )
        now = self.amount_total - self.retention_amount
        if self.state == "posted":
            now = self.amount_residual - self._get_retention_withheld()
        if released and self.currency_id.compare_amounts(released, net) < 0:
            return self.env._(
                "Retained %(amount)s, %(released)s of it released; to pay without the rest: %(due)s",
                amount=money(net),
                released=money(released),
                due=money(now),
            )
        if released:
            return self.env._(
                "Retained %(amount)s, released and due on %(date)s; to pay in all: %(due)s",
                amount=money(net),
                date=format_date(self.env, max(days)) if days else "",
                due=money(now),
            )
        return self.env._(
            "Retained %(amount)s %(until)s; to pay without it: %(due)s", amount=money(net), until=until, due=money(now)
        )


class ResPartnerBank(models.Model):
    _inherit = "res.partner.bank"

    def build_qr_code_base64(self, amount, *args, **kwargs):
        return super().build_qr_code_base64(self.env.context.get("retention_asked_amount", amount), *args, **kwargs)
