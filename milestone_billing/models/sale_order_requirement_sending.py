from odoo import models


class SaleOrder(models.Model):
    """Proposals that are sent although nothing meets some of what must be met."""

    _inherit = "sale.order"

    def message_post(self, **kwargs):
        message = super().message_post(**kwargs)
        if self.env.context.get("mark_so_as_sent"):
            self._note_uncovered_musts()
        return message

    def action_quotation_sent(self):
        result = super().action_quotation_sent()
        self._note_uncovered_musts()
        return result

    def _note_uncovered_musts(self):
        """Keep in the chatter what was uncovered when a quotation was sent."""
        for order in self.filtered(lambda order: order.state in ("draft", "sent")):
            if warning := order.sudo().requirement_warning:
                order._message_log(body=order.env._("Sent although nothing meets these musts: %s.", warning))
