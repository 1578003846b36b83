from odoo import models

ADVANCE_LEFT = "milestone_billing.mail_activity_advance_left"


class SaleOrder(models.Model):
    """What is left of an advance when its order is cancelled: no milestone recovers it any more."""

    _inherit = "sale.order"

    def _action_cancel(self):
        result = super()._action_cancel()
        # of those who may cancel: that they also see invoices is not needed
        self.sudo()._tell_advance_left()
        return result

    def action_draft(self):
        """The milestones of an order that is taken up again recover the advance."""
        result = super().action_draft()
        self.check_access("write")
        self.sudo().activity_unlink([ADVANCE_LEFT])  # it may be somebody else's
        return result

    def _tell_advance_left(self):
        """Ask those who invoice to credit the rest of the advance, once."""
        for order in self.filtered(lambda order: order.currency_id.compare_amounts(order.advance_remaining, 0.0) > 0):
            user = order.milestone_ids[:1]._get_invoicing_user()
            if not user or not order.with_user(user).has_access("read") or order.activity_search([ADVANCE_LEFT]):
                continue
            order.activity_schedule(
                ADVANCE_LEFT,
                user_id=user.id,
                summary=self.env._("%(order)s: credit the rest of the advance", order=order.name),
                note=self.env._(
                    "The order is cancelled: %(amount)s of the advance, taxes included, cannot be recovered any more. "
                    "Credit that much of the advance invoice.",
                    amount=order.currency_id.format(order.advance_remaining),
                ),
            )
