from odoo import models
from odoo.exceptions import UserError


class SaleAdvancePaymentInv(models.TransientModel):
    _inherit = "sale.advance.payment.inv"

    def create_invoices(self):
        self._check_advance_beside_plan()
        return super().create_invoices()

    def _check_advance_beside_plan(self):
        """A down payment is deducted from free lines only, so it cannot exceed them.

        :raises UserError: naming the largest amount that can be asked for
        """
        if self.advance_payment_method == "delivered":
            return
        for order in self.sale_order_ids.filtered("milestone_ids"):
            free = order.order_line.filtered(lambda line: not line.billing_milestone_id and not line.display_type)
            available = sum(free.filtered(lambda line: not line.is_downpayment).mapped("price_total"))
            available -= sum(free.mapped("amount_invoiced"))
            asked = self.fixed_amount
            if self.advance_payment_method == "percentage":
                asked = order.amount_total * self.amount / 100
            if order.currency_id.compare_amounts(asked, available) > 0:
                raise UserError(
                    self.env._(
                        "%(order)s is billed by milestones: a down payment would come on top of the plan. "
                        "At most %(available)s, the order lines without a milestone, can be asked for in advance; "
                        "plan an advance as a milestone of its own.",
                        order=order.name,
                        available=order.currency_id.format(max(available, 0.0)),
                    )
                )
