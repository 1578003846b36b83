from odoo import api, fields, models
from odoo.exceptions import UserError


class SaleApprovalOnBehalf(models.TransientModel):
    """Record an approval that the client gave outside of the portal: who, when, and the proof.

    The dialog keeps which round it was opened on, and what was presented then: the proof is of that, and of
    nothing that is presented while the dialog is open.
    """

    _name = "sale.approval.on.behalf"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Approval on Behalf of the Client"

    _dialog_documents = frozenset({"milestone_id", "change_request_id"})
    _dialog_fixed = frozenset({"approval_id", "snapshot_hash"})

    milestone_id = fields.Many2one("sale.milestone", readonly=True)
    change_request_id = fields.Many2one("sale.change.request", readonly=True)
    approval_id = fields.Many2one(
        "sale.approval", compute="_compute_shown", store=True, readonly=False, precompute=True
    )
    snapshot_hash = fields.Char(compute="_compute_shown", store=True, readonly=False, precompute=True)
    commercial_partner_id = fields.Many2one("res.partner", compute="_compute_commercial_partner_id", compute_sudo=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Approved By",
        required=True,
        domain="[('commercial_partner_id', '=', commercial_partner_id)]",
        help="The contact of the client who approved.",
    )
    approved_on = fields.Date(required=True, default=fields.Date.context_today)
    comment = fields.Text(string="How", required=True, help="For example: signed delivery note, e-mail, minutes.")
    proof_ids = fields.Many2many("ir.attachment", required=True)

    @api.depends("milestone_id", "change_request_id")
    def _compute_display_name(self):
        for wizard in self:
            wizard.display_name = wizard._get_subject().display_name

    @api.depends("milestone_id", "change_request_id")
    def _compute_commercial_partner_id(self):
        for wizard in self:
            wizard.commercial_partner_id = wizard._get_subject().partner_id.commercial_partner_id

    @api.depends("milestone_id", "change_request_id")
    def _compute_shown(self):
        for wizard in self:
            wizard.approval_id = wizard._get_subject().approval_id
            wizard.snapshot_hash = wizard.approval_id.snapshot_hash

    def _get_subject(self):
        self.ensure_one()
        return self.milestone_id or self.change_request_id

    def action_confirm(self):
        """Approve with this proof.

        :raises UserError: without a proof, for a day to come, for somebody who is no contact of the client,
            or when something else was presented since the dialog was opened
        """
        self.ensure_one()
        subject = self._get_subject()
        if not subject:
            raise UserError(self.env._("Open this from what the client approved."))
        subject._check_on_behalf()
        self._check_statement(subject)
        self._check_shown(subject)
        proof = self.proof_ids
        proof.check_access("read")
        subject._approve(
            {
                "partner": self.partner_id,
                "method": "on_behalf",
                "snapshot_hash": self.snapshot_hash,
                "signed_by": self.partner_id.name,
                "comment": self.comment,
                "approved_on": self.approved_on,
                "proof": proof,
            }
        )
        return {"type": "ir.actions.act_window_close"}

    def _check_shown(self, subject):
        """The proof is of what was presented when the dialog was opened."""
        # the right to record the approval was checked; it needs none to read evidence
        pending, shown = subject.sudo().approval_id, self.sudo().approval_id
        if pending and (pending != shown or pending.snapshot_hash != self.snapshot_hash):
            raise UserError(
                self.env._(
                    "%(subject)s was presented again since you opened this. Close this dialog and look at it again: "
                    "the proof has to be of what is presented now.",
                    subject=subject.display_name,
                )
            )

    def _check_statement(self, subject):
        if not self.proof_ids:
            raise UserError(self.env._("Attach the proof of the approval: the signed paper or the client's message."))
        if any(file.type != "binary" for file in self.proof_ids):
            raise UserError(self.env._("A link is no proof, for what is behind it can change: attach the file itself."))
        if self.approved_on > fields.Date.context_today(self):
            raise UserError(self.env._("The approval cannot lie in the future."))
        if self.partner_id.commercial_partner_id != subject.sudo().partner_id.commercial_partner_id:
            raise UserError(self.env._("%(name)s is no contact of the client.", name=self.partner_id.display_name))
