from odoo import api, models


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _create_payment(self, **extra_create_values):
        """Once only retention is left to pay, an online payment goes to its account."""
        items = self.invoice_ids.line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled and line.parent_state == "posted"
        )
        if items and all(item.retention_order_id for item in items):
            self = self.with_context(retention_payment_account_id=items[0].account_id.id)
        return super()._create_payment(**extra_create_values)


class AccountPayment(models.Model):
    _inherit = "account.payment"

    @api.model_create_multi
    def create(self, vals_list):
        account_id = self.env.context.get("retention_payment_account_id")
        if account_id:
            vals_list = [{**vals, "destination_account_id": account_id} for vals in vals_list]
        return super().create(vals_list)
