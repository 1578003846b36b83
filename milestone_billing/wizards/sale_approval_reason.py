from odoo import fields, models
from odoo.exceptions import UserError


class SaleApprovalReason(models.TransientModel):
    """Ask for the reason of a decision: a rejection, a reversal, an exception, a hold."""

    _name = "sale.approval.reason"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Reason of a Review Decision"

    _dialog_documents = frozenset({"milestone_id", "change_request_id"})
    _dialog_fixed = frozenset({"purpose"})

    milestone_id = fields.Many2one("sale.milestone", readonly=True)
    change_request_id = fields.Many2one("sale.change.request", readonly=True)
    purpose = fields.Selection(
        [
            ("internal_reject", "Send Back"),
            ("revert", "Take the Approval Back"),
            ("early", "Allow Early Submission"),
            ("hold", "Put on Hold"),
            ("reject", "Decline"),
        ],
        required=True,
        readonly=True,
    )
    reason = fields.Text(required=True)

    def action_confirm(self):
        """Pass the reason on; rights and state are checked by the decision itself."""
        self.ensure_one()
        reason = (self.reason or "").strip()
        if not reason:
            raise UserError(self.env._("Please give a reason."))
        milestone, request = self.milestone_id, self.change_request_id
        decide = {
            "internal_reject": (milestone or request).action_internal_reject,
            "revert": milestone.action_revert_approval,
            "early": milestone.action_allow_early,
            "hold": milestone.action_hold,
            "reject": request.action_reject,
        }
        if not (milestone or request):
            raise UserError(self.env._("Open this from the document that it concerns."))
        decide[self.purpose](reason)
        return {"type": "ir.actions.act_window_close"}
