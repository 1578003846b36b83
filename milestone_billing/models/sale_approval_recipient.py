from urllib.parse import urlencode

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import consteq
from odoo.tools.misc import hmac


class SaleApprovalRecipient(models.Model):
    """Somebody who was asked to decide a round, and the personal link that was sent.

    The link's token is an HMAC over the record: it is in the e-mail and nowhere in the database.
    """

    _name = "sale.approval.recipient"
    _description = "Approval Recipient"
    _order = "approval_id, sequence, id"
    _rec_name = "partner_id"

    approval_id = fields.Many2one("sale.approval", required=True, index=True, readonly=True, ondelete="restrict")
    partner_id = fields.Many2one("res.partner", required=True, readonly=True, index=True, ondelete="restrict")
    sequence = fields.Integer(readonly=True)
    company_id = fields.Many2one(related="approval_id.company_id", store=True)
    sent_on = fields.Datetime(readonly=True)
    viewed_on = fields.Datetime(readonly=True)
    expires_on = fields.Datetime(required=True, readonly=True)
    revoked = fields.Boolean(readonly=True)
    decision = fields.Selection([("approved", "Approved"), ("changes_requested", "Changes Requested")], readonly=True)

    _unique_partner = models.UniqueIndex("(approval_id, partner_id)", "Everybody is asked once a round.")

    @api.model_create_multi
    def create(self, vals_list):
        raise AccessError(self.env._("Links are made by submitting a milestone."))

    def write(self, vals):
        raise AccessError(self.env._("Links are kept as they were sent. Revoke or resend them instead."))

    def unlink(self):
        raise AccessError(self.env._("Links are kept as evidence. Revoke them instead."))

    @api.model
    def _create_recipients(self, vals_list):
        """Make recipients; no ``default_*`` key of a caller's context gets into them."""
        return super(SaleApprovalRecipient, self.with_context({})).create(vals_list).with_env(self.env)

    def _write_protected(self, values):
        return super().write(values)

    def action_revoke(self):
        """Make personal links dead, for good."""
        self._check_manage()
        self.sudo()._write_protected({"revoked": True})
        return True

    def action_resend(self):
        """Send the personal links of an open round again, with a new term."""
        self._check_manage()
        for recipient in self.sudo():
            if recipient.approval_id.decision == "pending" and not recipient.revoked:
                days = recipient.company_id.milestone_link_days
                expires_on = fields.Datetime.add(fields.Datetime.now(), days=days)
                recipient._write_protected({"expires_on": expires_on})
                recipient._send_invitation()
        return True

    def _check_manage(self):
        """Whoever may deliver the milestone manages its links."""
        self.check_access("read")
        for recipient in self:
            recipient.approval_id._get_subject().with_env(self.env)._check_can_deliver()

    def _is_live(self):
        """Whether the link still opens the page, for this person."""
        self.ensure_one()
        return not self.revoked and self.partner_id.active and self.expires_on > fields.Datetime.now()

    def _get_token(self):
        self.ensure_one()
        return hmac(self.env(su=True), "milestone_billing.approval", (self.id, self.partner_id.id))

    def _check_token(self, token):
        self.ensure_one()
        return bool(token) and consteq(token, self._get_token())

    def _get_access_url(self):
        """Return the personal, absolute link of this recipient."""
        self.ensure_one()
        recipient = self.sudo()
        subject = recipient.approval_id._get_subject()
        query = urlencode({"recipient": recipient.id, "token": recipient._get_token()})
        return f"{subject.get_base_url()}{subject.access_url}?{query}"

    def _send_invitation(self):
        """Queue one mail per recipient, in the recipient's language; they leave after the commit."""
        template = self.env.ref("milestone_billing.mail_template_milestone_submitted", raise_if_not_found=False)
        if template and self:
            template.sudo().send_mail_batch(
                self.ids, force_send=False, email_layout_xmlid="mail.mail_notification_light"
            )
            self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
        self._write_protected({"sent_on": fields.Datetime.now()})
