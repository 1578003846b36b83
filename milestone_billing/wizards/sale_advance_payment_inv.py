from odoo import models
from odoo.exceptions import UserError


class SaleAdvancePaymentInv(models.TransientModel):
    _inherit = "sale.advance.payment.inv"

    def _create_invoices(self, sale_orders):
        """A down payment on a milestone contract is an advance, which the milestones recover.

        Once they bill too little for that, it can still be deducted from order lines without a milestone.
        """
        if self.advance_payment_method == "delivered" or not sale_orders.milestone_ids:
            return super()._create_invoices(sale_orders)
        sale_orders.ensure_one()
        if self._exceeds(self._get_room_in_milestones(sale_orders)):
            self._check_advance_beside_plan()
            return super()._create_invoices(sale_orders)
        sale_orders.check_access("write")
        if self.advance_payment_method == "percentage":
            invoice = sale_orders._create_advance_invoice(percentage=self.amount)
        else:
            invoice = sale_orders._create_advance_invoice(amount=self.fixed_amount)
        return invoice.sudo(self.env.su)

    def _exceeds(self, available, base=None):
        order = self.sale_order_ids
        asked = self.fixed_amount
        if self.advance_payment_method == "percentage":
            total = base if base is not None else sum(order.milestone_ids.mapped("amount_total"))
            # a rounded share may exceed by half a cent what an earlier one left
            asked = total * self.amount / 100 - order.currency_id.rounding
        return order.currency_id.compare_amounts(asked, available) > 0

    def _get_room_in_milestones(self, order):
        """Return what the milestones still bill less the advances that they have to recover, taxes included."""
        return sum(part.total for part in order.sudo()._get_advance_room().values())

    def _check_advance_beside_plan(self):
        """A down payment is deducted from free lines only, so it cannot exceed them.

        :raises UserError: naming the largest amounts that can be asked for
        """
        order = self.sale_order_ids
        free = order.order_line.filtered(
            lambda line: not (line.billing_milestone_id or line.display_type or line.is_milestone_advance)
        )
        available = sum(free.filtered(lambda line: not line.is_downpayment).mapped("price_total"))
        available -= sum(free.mapped("amount_invoiced"))
        if self._exceeds(available, base=order.amount_total):
            raise UserError(
                self.env._(
                    "%(order)s: an advance is recovered by the milestones that are not billed yet, so it cannot "
                    "exceed %(room)s. From order lines without a milestone, %(available)s can be deducted.",
                    order=order.name,
                    room=order.currency_id.format(max(self._get_room_in_milestones(order), 0.0)),
                    available=order.currency_id.format(max(available, 0.0)),
                )
            )
