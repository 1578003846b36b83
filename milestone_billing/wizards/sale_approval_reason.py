from odoo import fields, models
from odoo.exceptions import UserError


class SaleApprovalReason(models.TransientModel):
    """Ask for the reason of an internal rejection or a reversal."""

    _name = "sale.approval.reason"
    _description = "Reason of a Review Decision"

    milestone_id = fields.Many2one("sale.milestone", required=True, readonly=True)
    purpose = fields.Selection(
        [("internal_reject", "Send Back"), ("revert", "Take the Approval Back")], required=True, readonly=True
    )
    reason = fields.Text(required=True)

    def action_confirm(self):
        """Pass the reason on; rights and state are checked by the decision itself."""
        self.ensure_one()
        reason = (self.reason or "").strip()
        if not reason:
            raise UserError(self.env._("Please give a reason."))
        if self.purpose == "revert":
            self.milestone_id.action_revert_approval(reason)
        else:
            self.milestone_id.action_internal_reject(reason)
        return {"type": "ir.actions.act_window_close"}
