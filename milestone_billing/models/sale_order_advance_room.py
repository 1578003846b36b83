from odoo import models

from .taxed_amount import TaxedAmount


class SaleOrder(models.Model):
    """What there is to recover of advances, and what milestones still bill to recover it from."""

    _inherit = "sale.order"

    def _get_advance_pools(self, drafts=False):
        """Return what is left to recover, oldest first: ``{set of taxes: {order line: TaxedAmount}}``."""
        self.ensure_one()
        pools = {}
        for line in self.order_line.filtered("is_milestone_advance").sorted("id"):
            balance = line._get_advance_balance(drafts=drafts)
            if self.currency_id.compare_amounts(balance.untaxed, 0.0) > 0:
                pools.setdefault(line._get_advance_key(), {})[line] = balance
        return pools

    def _get_advance_room(self):
        """Return ``{set of taxes: TaxedAmount}`` of what the milestones still bill less the advances to recover."""
        self.ensure_one()
        room = {}
        for by_key in self._get_unbilled_weights().values():
            for key, amount in by_key.items():
                room[key] = room.get(key, TaxedAmount()).plus(amount)
        for key, balances in self._get_advance_pools(drafts=True).items():
            for balance in balances.values():
                room[key] = room.get(key, TaxedAmount()).minus(balance)
        return {key: part.rounded(self.currency_id) for key, part in room.items()}

    def _get_unbilled_milestones(self):
        self.ensure_one()
        return self.milestone_ids.filtered(
            lambda milestone: milestone.state != "cancelled" and not milestone._is_billed_in_full()
        )

    def _get_unbilled_weights(self):
        """Return ``{milestone: {set of taxes: TaxedAmount}}`` of what the milestones still bill."""
        self.ensure_one()
        weights = {milestone: {} for milestone in self._get_unbilled_milestones()}
        engine = self.env["account.tax"]
        rounded = self._get_rounded_base_lines()
        for milestone, by_key in weights.items():
            base_lines = [rounded[line] for line in milestone.order_line_ids if line in rounded]
            if milestone._is_partly_billed():
                base_lines = milestone._get_unbilled_base_lines()
            for base_line in engine._prepare_base_lines_for_down_payment(base_lines, self.company_id):
                key = frozenset(base_line["tax_ids"].flatten_taxes_hierarchy().ids)
                by_key[key] = by_key.get(key, TaxedAmount()).plus(
                    TaxedAmount.from_taxes(*self.env["sale.order.line"]._get_amounts_by_tax(base_line))
                )
        return weights
