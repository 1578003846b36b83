from odoo import api, fields, models


class SaleOrder(models.Model):
    """Who pays online to accept a quotation pays the advance that it agrees on, and no other amount."""

    _inherit = "sale.order"

    prepayment_percent = fields.Float(precompute=False)  # it follows from amounts

    @api.depends(
        "amount_total",
        "milestone_ids.amount_total",
        "milestone_advance_type",
        "milestone_advance_percentage",
        "milestone_advance_amount",
    )
    def _compute_prepayment_percent(self):
        """The share of the advance, until the contract is agreed; else the company's, or what somebody chose."""
        for order in self:
            known = order.prepayment_percent
            share = 0.0 if known and order.milestone_contract_hash else order._get_advance_share()
            if share or known:
                order.prepayment_percent = share or known
            else:
                super(SaleOrder, order)._compute_prepayment_percent()

    def _get_advance_share(self):
        """Return which share of the order the agreed advance is, 0 to 1; 0 without one."""
        self.ensure_one()
        advance = self._get_advance_amount()
        if not advance or not self.amount_total:
            return 0.0
        is_all_planned = self.currency_id.compare_amounts(self._get_share_of_milestones(100), self.amount_total) == 0
        if self.milestone_advance_type == "percentage" and is_all_planned:
            return self.milestone_advance_percentage / 100
        return min(round(advance / self.amount_total, 4), 1.0)

    def _get_prepayment_required_amount(self):
        """The advance to the smallest unit: its share of the order is rounded."""
        required = super()._get_prepayment_required_amount()
        return self._get_advance_amount() if self._prepays_advance() else required

    def _prepays_advance(self):
        """Whether the client accepts by paying the agreed advance, whichever share of the order that is."""
        self.ensure_one()
        return self.require_payment and self.prepayment_percent == self._get_advance_share()
