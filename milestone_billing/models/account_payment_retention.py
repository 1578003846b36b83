from odoo import api, fields, models


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _create_payment(self, **extra_create_values):
        """An online payment goes to the trade account, or pays what is released of retentions; its refund likewise."""
        if account := self._get_account_beside_retention():
            self = self.with_context(retention_payment_account_id=account.id)
        return super()._create_payment(**extra_create_values)

    def _get_account_beside_retention(self):
        """Return the account of the payment of invoices with a retention, else no account.

        What is paid beyond the trade part and beyond what is released is a credit of the client, on the trade account:
        somebody paid twice, say. It takes nothing of what is retained.
        """
        self.ensure_one()
        if self.operation == "refund":
            return self.source_transaction_id._get_account_of_paid_retention()
        terms = self._get_invoices_to_pay().line_ids.filtered(lambda line: line.display_type == "payment_term")
        retained = terms.filtered("retention_order_id")
        trade = terms - retained
        if not retained:
            return self.env["account.account"]
        is_trade_paid = all(line.reconciled for line in trade if line.parent_state == "posted")
        owed = sum(
            item.currency_id._convert(
                item._get_retention_owed(), self.currency_id, item.company_id, fields.Date.context_today(self)
            )
            for item in retained
        )
        if not trade or (is_trade_paid and self.currency_id.compare_amounts(self.amount, owed) <= 0):
            return retained[0].account_id
        return trade[0].account_id

    def _get_account_of_paid_retention(self):
        """Return the account of the retention that was paid, else no account.

        What is refunded of it goes there as well: payment and refund can then be set against each other.
        """
        self.ensure_one()
        retained = self._get_invoices_to_pay().line_ids.filtered("retention_order_id")
        return self.payment_id.destination_account_id & retained.account_id

    def _get_invoices_to_pay(self):
        self.ensure_one()
        invoices = self.invoice_ids
        if self.operation == self.source_transaction_id.operation:  # a part of what was authorized
            invoices |= self.source_transaction_id.invoice_ids
        return invoices


class AccountPayment(models.Model):
    _inherit = "account.payment"

    @api.model_create_multi
    def create(self, vals_list):
        account_id = self.env.context.get("retention_payment_account_id")
        if account_id:
            vals_list = [{**vals, "destination_account_id": account_id} for vals in vals_list]
        return super().create(vals_list)
