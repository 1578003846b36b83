from odoo import fields, models

from .sale_milestone import AMOUNT_GROUPS


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    retention_amount = fields.Monetary(
        string="Retained",
        compute="_compute_retention_amount",
        compute_sudo=True,
        groups=AMOUNT_GROUPS,
        help="Retained of its posted invoices, less what credit notes gave back.",
    )

    def _compute_retention_amount(self):
        """Share what each document retains out over its milestones; the shares of an order add up exactly."""
        for milestone in self:
            amount = 0.0
            for move in milestone._get_posted_invoice_lines().move_id:
                amount += move._share_retention(milestone.order_id).get(milestone, 0.0)
            milestone.retention_amount = milestone.currency_id.round(amount)


class AccountMove(models.Model):
    _inherit = "account.move"

    def _share_retention(self, order):
        """Return {milestone: what the document retains of it}, negative on credit notes."""
        self.ensure_one()
        items = self.line_ids.filtered(lambda line: line.retention_order_id == order)
        retained = sum(items.mapped("amount_currency"))
        lines = self.line_ids.filtered(
            lambda line: line.billing_milestone_id.order_id == order and line.display_type == "product"
        )
        by_total = order.milestone_retention_base == "total"
        bases = {
            milestone: sum(milestone_lines.mapped("price_total" if by_total else "amount_currency"))
            for milestone, milestone_lines in lines.grouped("billing_milestone_id").items()
        }
        whole = sum(bases.values())
        if not whole:
            return {}
        shares, base_to_date, shared = {}, 0.0, 0.0
        for milestone in sorted(bases, key=lambda milestone: milestone.id):
            base_to_date += bases[milestone]
            to_date = order.currency_id.round(retained * base_to_date / whole)
            shares[milestone] = order.currency_id.round(to_date - shared)
            shared = to_date
        return shares
