from datetime import timedelta
from urllib.parse import urlencode

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import consteq
from odoo.tools.misc import hmac

# Somebody whose link is dead may ask for another one, but not flood a mailbox with it.
LINK_REQUEST_PAUSE = timedelta(minutes=10)


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
    decision = fields.Selection(
        [("approved", "Approved"), ("changes_requested", "Changes Requested"), ("rejected", "Declined")], readonly=True
    )
    revoked_by_id = fields.Many2one(
        "res.users", readonly=True, ondelete="restrict", help="Who made the link dead; empty when the review ended it."
    )
    link_version = fields.Integer(default=1, readonly=True, help="A new link makes the earlier ones dead.")
    link_requested_on = fields.Datetime(readonly=True, help="When this person last asked for a new link.")

    _unique_partner = models.UniqueIndex("(approval_id, partner_id)", "Everybody is asked once a round.")

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise AccessError(self.env._("Links are made by presenting something for approval."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise AccessError(self.env._("Links are kept as they were sent. Revoke or resend them instead."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_never(self):
        raise AccessError(self.env._("Links are kept as evidence. Revoke them instead."))

    @api.model
    def _create_recipients(self, vals_list):
        """Make recipients; no ``default_*`` key of a caller's context gets into them."""
        clean = self.with_context({})  # pylint: disable=context-overridden
        return super(SaleApprovalRecipient, clean).create(vals_list).with_env(self.env)

    def _write_protected(self, values):
        return super().write(values)

    def action_revoke(self):
        """Make personal links dead, for good."""
        self._check_manage()
        self.sudo()._write_protected({"revoked": True, "revoked_by_id": self.env.user.id})
        for recipient in self.sudo():
            recipient.approval_id._get_subject().message_unsubscribe(recipient.partner_id.ids)
        return True

    def action_resend(self):
        """Send the personal links of an open round again, with a new term."""
        self._check_manage()
        for recipient in self.sudo():
            if recipient.approval_id.decision == "pending" and not recipient.revoked:
                recipient._renew_term()
                recipient._send_invitation()
        return True

    def _renew_term(self):
        self.ensure_one()
        days = self.company_id.milestone_link_days
        self._write_protected({"expires_on": fields.Datetime.add(fields.Datetime.now(), days=days)})

    def _check_manage(self):
        """Whoever may present the document manages its links."""
        self.check_access("read")
        for recipient in self:
            recipient.approval_id._get_subject().with_env(self.env)._check_can_deliver()

    def _is_live(self):
        """Whether the link still opens the page, for this person."""
        self.ensure_one()
        return not self.revoked and self.partner_id.active and self.expires_on > fields.Datetime.now()

    def _is_approver(self):
        """Whether this person is one of those who are asked now; approvers of an order may change."""
        self.ensure_one()
        recipient = self.sudo()
        return recipient.partner_id in recipient.approval_id._get_subject()._get_policy().approvers

    def _may_open(self):
        """Whether the personal link shows the page: it is alive, and its holder still is asked."""
        return self._is_live() and self._is_approver()

    def _may_decide(self):
        """Whether this person can approve, or ask for changes, now."""
        self.ensure_one()
        approval = self.sudo().approval_id
        return approval.decision == "pending" and approval.kind == "client" and self._may_open()

    def _note_viewed(self):
        """Keep when somebody first looked at what was presented."""
        self.ensure_one()
        if not self.viewed_on:
            self._write_protected({"viewed_on": fields.Datetime.now()})

    def _get_token(self, version=None):
        self.ensure_one()
        message = (self.id, self.partner_id.id, version or self.link_version)
        return hmac(self.env(su=True), "milestone_billing.approval", message)

    def _check_token(self, token):
        """Whether ``token`` belongs to the newest link that this person got for this round."""
        self.ensure_one()
        return self._is_token(token, self.link_version)

    def _knows_token(self, token):
        """Whether ``token`` belongs to any link that this person got for this round, dead ones included."""
        self.ensure_one()
        return any(self._is_token(token, version) for version in range(1, self.link_version + 1))

    def _is_token(self, token, version):
        # what visitors send may be of any type and in any script
        return isinstance(token, str) and token.isascii() and consteq(token, self._get_token(version))

    def _is_good_link(self, token):
        """Whether a link was neither replaced nor revoked by somebody, nor has run out.

        The end of its round alone does not make it bad: it leads to the next round of the same person.
        """
        self.ensure_one()
        return self._check_token(token) and not self.revoked_by_id and self.expires_on > fields.Datetime.now()

    def _get_access_url(self):
        """Return the personal, absolute link of this recipient.

        Only for the superuser, who renders the mails: an employee who previews a mail template on a
        recipient gets a link without token, and must log in.
        """
        self.ensure_one()
        recipient = self.sudo()
        subject = recipient.approval_id._get_subject()
        url = f"{subject.get_base_url()}{subject.access_url}"
        if not self.env.su:
            return url
        query = urlencode({"recipient": recipient.id, "token": recipient._get_token()})
        return f"{url}?{query}"

    def _prepare_notification_group(self):
        """Return the group of a notification mail that goes to this person alone, with the personal link."""
        self.ensure_one()
        partner = self.partner_id
        return [
            f"milestone_recipient_{self.id}",
            lambda data: data["id"] == partner.id and data["type"] != "user",
            {"active": True, "has_button_access": True, "button_access": {"url": self._get_access_url()}},
        ]

    def _send_invitation(self):
        """Queue one mail per recipient, in the recipient's language; they leave after the commit."""
        for approval, recipients in self.grouped("approval_id").items():
            template = approval._get_subject()._get_mail_template("submitted")
            approval._queue_mails(template, recipients)
        self._write_protected({"sent_on": fields.Datetime.now()})

    def _request_new_link(self):
        """Answer somebody whose link is dead: by a mail to the address we know, or by telling the team.

        At most once in ``LINK_REQUEST_PAUSE``. The caller is not told which of the two happened. A link
        that ran out stays dead: whoever found it in an old mail must not bring it back to life.
        """
        self.ensure_one()
        recipient = self.sudo().try_lock_for_update(allow_referencing=True)
        now = fields.Datetime.now()
        last = recipient.link_requested_on
        if not recipient or (last and last > now - LINK_REQUEST_PAUSE):
            return
        recipient._write_protected({"link_requested_on": now})
        if recipient._may_get_new_link():
            if not recipient._is_live():
                recipient._write_protected({"link_version": recipient.link_version + 1})
                recipient._renew_term()
            subject = recipient.approval_id._get_subject()
            recipient.approval_id._queue_mails(subject._get_mail_template("new_link"), recipient)
            recipient._write_protected({"sent_on": now})
        else:
            recipient._report_link_request()

    def _may_get_new_link(self):
        """A term that ran out is renewed on request; what somebody revoked or removed is for the team to decide."""
        self.ensure_one()
        return (
            not self.revoked
            and self.partner_id.active
            and bool(self.partner_id.email)
            and self.approval_id.decision in ("pending", "approved")
            and self._is_approver()
        )

    def _report_link_request(self):
        """Tell whoever leads the delivery that somebody wants to see the milestone and cannot."""
        self.ensure_one()
        subject = self.approval_id._get_subject()
        user = subject._get_project_manager()
        if not user:
            return
        subject = subject.with_context(lang=user.lang)
        subject.activity_schedule(
            "mail.mail_activity_data_todo",
            user_id=user.id,
            summary=subject.env._(
                "%(name)s asks for a new link to %(subject)s", name=self.partner_id.name, subject=subject.name
            ),
        )
