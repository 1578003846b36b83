from odoo.http import request

from odoo.addons.account_payment.controllers.portal import PortalAccount


class RetentionPortal(PortalAccount):
    def _get_overdue_invoices_domain(self, partner_id=None):
        """Of invoices that keep a retention, only an overdue trade part counts: a payment of all goes to its account.

        Released retention is paid one by one, on the pages of the invoices.
        """
        domain = super()._get_overdue_invoices_domain(partner_id)
        retained = request.env["account.move"].sudo().search([*domain, ("retention_amount", ">", 0.0)])
        settled = retained.filtered(lambda move: move.currency_id.is_zero(move._get_overdue_trade_residual()))
        return [*domain, ("id", "not in", settled.ids)]

    def _overdue_invoices_get_page_view_values(self, overdue_invoices, **kwargs):
        """Ask for what is overdue, not for the retention."""
        values = super()._overdue_invoices_get_page_view_values(overdue_invoices, **kwargs)
        retained = overdue_invoices.filtered("retention_amount")
        if retained and "payment" in values:
            currency = values["payment"]["currency"]
            left_out = sum(move.amount_total - move._get_overdue_trade_residual() for move in retained)
            values["amount"] = currency.round(values["amount"] - left_out)
            values["payment"]["amount"] = values["amount"]
        return values
