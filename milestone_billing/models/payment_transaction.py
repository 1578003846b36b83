from odoo import models


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _check_amount_and_confirm_order(self):
        """A paid contract waits for its signatures and a plan that can be agreed on; the client gets the receipt."""
        waiting = self.filtered(
            lambda transaction: any(
                order.state in ("draft", "sent") and order._get_acceptance_obstacle()
                for order in transaction.sale_order_ids
            )
        )
        waiting.sale_order_ids._note_payment_before_acceptance()
        return super(PaymentTransaction, self - waiting)._check_amount_and_confirm_order()
