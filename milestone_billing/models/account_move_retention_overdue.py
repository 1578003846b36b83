from odoo import api, fields, models
from odoo.fields import Domain


class AccountMove(models.Model):
    """Documents whose due date passed, where that of a retention is not the one of its invoice.

    The due date of an invoice stays that of its trade part, for as long as its retention is kept back.
    """

    _inherit = "account.move"

    is_past_due = fields.Boolean(
        string="Past Due",
        compute="_compute_is_past_due",
        search="_search_is_past_due",
        compute_sudo=True,
        help="The due date has passed; of an invoice with a retention: that of an open trade part, or of a release "
        "that is not paid.",
    )

    @api.depends(
        "invoice_date_due",
        "move_type",
        "retention_amount",
        "line_ids.amount_residual_currency",
        "line_ids.retention_released",
        "line_ids.retention_release_line_ids.due_date",
    )
    def _compute_is_past_due(self):
        today = fields.Date.context_today(self)
        for move in self:
            is_past = bool(move.invoice_date_due) and move.invoice_date_due < today
            if retained := move._get_open_retention_items():
                is_open = not move.currency_id.is_zero(move._get_overdue_trade_residual())
                is_past = (is_past and is_open) or any(item._is_release_past_due() for item in retained)
            move.is_past_due = is_past

    def _search_is_past_due(self, operator, value):
        if operator not in ("in", "not in"):
            return NotImplemented
        open_retention = Domain("retention_order_id", "!=", False) & Domain("reconciled", "=", False)
        open_trade = (
            Domain("display_type", "=", "payment_term")
            & Domain("retention_order_id", "=", False)
            & Domain("amount_residual_currency", "!=", 0.0)
        )
        kept_only = (
            Domain("move_type", "=", "out_invoice")
            & Domain("line_ids", "any!", open_retention)
            & ~Domain("line_ids", "any!", open_trade)
        )
        past = Domain("invoice_date_due", "<", fields.Date.context_today(self))
        # a query of its own, so that documents without a retention cost nothing
        past &= Domain("id", "not in", self._search(kept_only, bypass_access=True))
        past |= Domain("id", "in", self._get_moves_of_past_releases().ids)
        return past if (True in value) == (operator == "in") else ~past

    def _get_open_retention_items(self):
        """Return what an invoice keeps back and what is not paid of it, in superuser mode."""
        self.ensure_one()
        if self.move_type != "out_invoice" or not self.retention_amount:
            return self.env["account.move.line"]
        return self.sudo().line_ids.filtered(lambda line: line.retention_order_id and not line.reconciled)

    @api.model
    def _get_moves_of_past_releases(self):
        """Return the invoices with a release that is due and not paid, in superuser mode."""
        past = (
            Domain("due_date", "<", fields.Date.context_today(self))
            & Domain("release_id.state", "=", "released")
            & Domain("move_line_id.reconciled", "=", False)
        )
        parts = self.env["sale.retention.release.line"].sudo().search(past)
        return parts.move_line_id.filtered(lambda line: line._is_release_past_due()).move_id


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _is_release_past_due(self):
        """Whether the day has passed on which something of the retention was to be paid, and it is not."""
        self.ensure_one()
        since = self._get_retention_owed_since() if self.retention_released else None
        return bool(since) and since < fields.Date.context_today(self)
