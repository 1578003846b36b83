from odoo import models


class SaleChangeRequestLine(models.Model):
    """Changes of contracts whose retention is a release milestone: it keeps its share of what is added."""

    _inherit = "sale.change.request.line"

    def _get_kept_part(self, amount):
        """Return the release milestone, if it is open, and the part of ``amount`` (untaxed) that it bills."""
        self.ensure_one()
        order = self.order_id
        release = order.milestone_ids.filtered(
            lambda milestone: milestone.is_retention and milestone.state not in ("approved", "cancelled")
        )
        contract = release and order._retains_by_milestone() and order._get_retention_contract()
        if not contract:
            return release.browse(), 0.0
        return release, self.currency_id.round(amount * order._get_retention_target(contract) / contract)

    def _get_kept_lines(self, milestone):
        """Return the lines of the open release milestone that bill what is kept back of ``milestone``."""
        self.ensure_one()
        lines = self.order_id.order_line.filtered(
            lambda line: line.retention_source_id.billing_milestone_id == milestone and not line.display_type
        )
        return lines.filtered(lambda line: line.billing_milestone_id.state not in ("approved", "cancelled"))

    def _add_amount(self, target, product, amount, number):
        release, kept = self._get_kept_part(amount)
        lines = super()._add_amount(target, product, amount - kept, number)
        if kept:
            self._keep_back(super()._add_amount(release, product, kept, number), lines)
        return lines

    def _share_amount(self, source, target, amount, number):
        release, kept = self._get_kept_part(amount)
        lines = super()._share_amount(source, target, amount - kept, number)
        if kept:
            self._keep_back(super()._share_amount(source, release, kept, number), lines)
        return lines

    def _keep_back(self, kept, lines):
        kept._write_past_guard({"retention_source_id": lines[:1].id})

    def _apply_cancel(self, number):
        kept = self._get_kept_lines(self.milestone_id)
        base_lines = self.order_id._get_rounded_base_lines()
        for release, lines in kept.grouped("billing_milestone_id").items():
            parts = [(line, line._get_taxed_amount(base_lines)) for line in lines]
            self._move_parts(parts, release, None, number)
        super()._apply_cancel(number)

    def _change_plan_rows(self, rows):
        changed = super()._change_plan_rows(rows)
        release, kept = self._get_kept_part(self.amount)
        row = next((row for row in rows if release and row["milestone"] == release), None)
        if row and self.action == "cancel":
            row["after"]["untaxed"] -= sum(self._get_kept_lines(self.milestone_id._origin).mapped("price_subtotal"))
        elif row and changed and self.action in ("add", "change"):
            changed["after"]["untaxed"] -= kept
            row["after"]["untaxed"] += kept
        return changed
