from odoo import api, fields, models

from .sale_order_retention import UNRELEASED


class SaleRetentionReleaseLine(models.Model):
    """What of a release concerns one invoice."""

    _name = "sale.retention.release.line"
    _description = "Retention Release Item"
    _order = "release_id, id"

    release_id = fields.Many2one("sale.retention.release", required=True, index=True, ondelete="cascade")
    move_line_id = fields.Many2one(
        "account.move.line", string="Retention Item", required=True, index=True, ondelete="restrict"
    )
    move_id = fields.Many2one(related="move_line_id.move_id", string="Invoice", store=True)
    company_id = fields.Many2one(related="release_id.company_id", store=True)
    currency_id = fields.Many2one(related="release_id.currency_id")
    due_date = fields.Date(related="release_id.due_date", store=True)
    amount = fields.Monetary()
    amount_paid = fields.Monetary(string="Paid", compute="_compute_amount_paid", compute_sudo=True)

    @api.depends("amount", "move_line_id.amount_residual_currency")
    def _compute_amount_paid(self):
        for line in self:
            line.amount_paid = line._get_paid()

    def _get_paid(self):
        """Return what is paid of it: a payment pays the oldest release of the item first."""
        self.ensure_one()
        if self.release_id.state != "released":
            return 0.0
        paid = max(self.move_line_id._get_retention_paid(), 0.0)
        for line in self.move_line_id.retention_release_line_ids.filtered(
            lambda line: line.release_id.state == "released"
        ).sorted(lambda line: (line.due_date, line.id)):
            if line == self:
                return min(max(paid, 0.0), self.amount)
            paid -= line.amount
        return 0.0

    def _reduce_to_retained(self):
        """Take back, newest first, what is released beyond what credit notes left of the retention."""
        for item in self.move_line_id:
            excess = item.currency_id.round(item.retention_released - max(item._get_retention_net(), 0.0))
            lines = item.retention_release_line_ids.filtered(lambda line: line.release_id.state == "released")
            for line in lines.sorted("id", reverse=True):
                part = min(excess, line.amount)
                if line.currency_id.compare_amounts(part, 0.0) <= 0:
                    continue
                excess -= part
                line.amount = line.currency_id.round(line.amount - part)
                line.release_id.message_post(
                    body=self.env._(
                        "%(amount)s less: %(invoice)s was credited.",
                        amount=line.currency_id.format(part),
                        invoice=item.move_id.display_name,
                    )
                )
            item._sync_released()
            lines.release_id._end_without_amount()


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    @api.model
    def _reconcile_plan(self, reconciliation_plan):
        """A credit note may be set against the retention of another invoice: what it takes cannot stay released."""
        result = super()._reconcile_plan(reconciliation_plan)
        retained = self._get_plan_lines(reconciliation_plan).filtered("retention_order_id")
        # of those who reconcile: that they also see and change releases is not needed
        retained.sudo().retention_release_line_ids._reduce_to_retained()
        return result

    def unlink(self):
        """Nothing of a draft is released any more: what was, and was taken back, goes with it."""
        drafts = self.filtered(lambda item: item.parent_state == "draft" and not item.retention_released)
        # of those who may delete the draft, which is checked next: that they also see releases is not needed
        drafts.sudo().retention_release_line_ids.unlink()
        return super().unlink()

    def _get_plan_lines(self, plan):
        """Return the journal items of a plan of Odoo's: a list of journal items, or of such plans."""
        return plan if isinstance(plan, models.Model) else self.browse().union(*map(self._get_plan_lines, plan))

    def _sync_released(self):
        """Let items tell what is released of them, and be due when all of it is."""
        for item in self.sudo():
            lines = item.retention_release_line_ids.filtered(lambda line: line.release_id.state == "released")
            released = item.currency_id.round(sum(lines.mapped("amount")))
            whole = item.currency_id.compare_amounts(released, item._get_retention_net()) >= 0
            due = max(lines.mapped("due_date")) if lines and released and whole else None
            item._write_released(released, due or item.retention_order_id._get_retention_maturity() or UNRELEASED)
