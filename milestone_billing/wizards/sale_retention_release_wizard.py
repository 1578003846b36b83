from odoo import api, fields, models


class SaleRetentionReleaseWizard(models.TransientModel):
    """Release retention of a contract by hand, in part or in full."""

    _name = "sale.retention.release.wizard"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Release Retention"

    _dialog_documents = frozenset({"order_id"})

    order_id = fields.Many2one("sale.order", required=True)
    currency_id = fields.Many2one(related="order_id.currency_id", related_sudo=False)
    withheld = fields.Monetary(related="order_id.retention_withheld", related_sudo=False)
    amount = fields.Monetary(
        string="Release", compute="_compute_amount", store=True, readonly=False, precompute=True, required=True
    )
    due_date = fields.Date(compute="_compute_due_date", store=True, readonly=False, precompute=True, required=True)
    announce = fields.Boolean(string="Tell the Client", default=True)
    note = fields.Text(help="Goes to the client with the announcement.")

    @api.depends("order_id")
    def _compute_amount(self):
        for wizard in self:
            wizard.amount = wizard.order_id._get_releasable() if wizard.order_id else 0.0

    @api.depends("order_id")
    def _compute_due_date(self):
        for wizard in self:
            wizard.due_date = wizard.order_id and wizard.order_id._get_release_due_date()

    def action_confirm(self):
        """Release the amount.

        :raises AccessError: for others than accountants
        :raises UserError: when the amount is not above zero, or above what is left
        """
        self.ensure_one()
        self.order_id._check_can_release()
        self.order_id.check_access("read")
        release = self.order_id._release_retention(
            amount=self.amount, due_date=self.due_date, note=self.note, announce=self.announce
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": "sale.retention.release",
            "res_id": release.id,
            "view_mode": "form",
        }
