import secrets

from odoo import api, fields, models
from odoo.fields import NO_ACCESS, Domain


class SaleApprovalMixin(models.AbstractModel):
    """What waits for a client's decision in the customer portal: who may see and decide it, and how one gets there.

    Without login only a personal link opens the document (see ``sale.approval.recipient``). The one
    permanent token per record that other documents share with whoever has the link does not exist here.
    """

    _name = "sale.approval.mixin"
    _inherit = ["sale.approval.mixin", "portal.mixin", "mail.thread", "mail.activity.mixin"]

    _approval_mail_prefix = None
    # what the pages of the subject are called: in values of templates, in their names, in the session
    _portal_name = None

    # Native portal code compares what a visitor sends with this value: it is drawn anew each time,
    # stored nowhere and sent to nobody, so nothing ever equals it.
    access_token = fields.Char(compute="_compute_access_token", groups=NO_ACCESS)

    def _compute_access_token(self):
        for subject in self:
            subject.access_token = secrets.token_urlsafe()

    # -- links -----------------------------------------------------------------------------------------

    def _portal_ensure_token(self):
        """There is no shared token: links made by native code lead to the login."""
        return ""

    def get_portal_url(self, suffix=None, report_type=None, download=None, query_string=None, anchor=None):
        url = super().get_portal_url(
            suffix=suffix, report_type=report_type, download=download, query_string=query_string, anchor=anchor
        )
        return url.replace("?access_token=&", "?").replace("?access_token=", "")

    def _get_share_url(self, redirect=False, signup_partner=False, pid=None, share_token=True):
        """Links that are shown, shared or posted carry no credentials: personal ones go by mail only."""
        return super()._get_share_url(redirect=redirect, share_token=False).rstrip("?")

    def _sign_token(self, pid):
        """Return what identifies a person in the chatter: the personal token of somebody who is asked now."""
        self.ensure_one()
        recipient = self._get_recipient(self.env["res.partner"].browse(pid))
        return recipient._get_token() if recipient and recipient._may_open() else secrets.token_urlsafe()

    @api.model
    def _get_thread_with_access(self, thread_id, *, mode="read", hash=None, pid=None, token=None, **kwargs):
        """The chatter opens to those who may read the document, and to holders of a live personal link."""
        thread = super()._get_thread_with_access(thread_id, mode=mode, **kwargs)
        if thread:
            return thread
        subject = self.browse(thread_id).sudo().exists()
        holders = subject._get_recipients().filtered(
            lambda recipient: recipient._check_token(token) and recipient._may_open()
        )
        return subject if holders else self.browse()

    def _notify_get_recipients_groups(self, message, model_description, msg_vals=False):
        """Give those who are asked now their own link, and other customers none."""
        groups = super()._notify_get_recipients_groups(message, model_description, msg_vals=msg_vals)
        if not self:
            return groups
        live = self.sudo()._get_recipients().filtered(lambda recipient: recipient._may_open())
        personal = [recipient._prepare_notification_group() for recipient in live]
        return personal + [group for group in groups if group[0] != "portal_customer"]

    # -- who -------------------------------------------------------------------------------------------

    def _get_recipients(self):
        """Return the newest personal link of each person who was ever asked about this document."""
        newest = {}
        for recipient in self.sudo().approval_ids.recipient_ids.sorted("id"):
            newest[recipient.partner_id] = recipient
        return self.env["sale.approval.recipient"].sudo().union(*newest.values())

    def _get_recipient(self, partner):
        """Return the newest personal link of ``partner`` (may be empty)."""
        self.ensure_one()
        return self._get_recipients().filtered(lambda recipient: recipient.partner_id == partner)

    def _find_recipient(self, recipient_id, token):
        """Return who holds a link, and whether the link is good.

        A link of an older round leads to the newest round in which the same person was asked.

        :return: tuple of ``sale.approval.recipient`` (empty for a wrong link) and bool
        """
        self.ensure_one()
        asked = self.sudo().approval_ids.recipient_ids
        opened = asked.filtered(lambda recipient: recipient.id == recipient_id)
        if not opened or not opened._knows_token(token):
            return asked.browse(), False
        return self._get_recipient(opened.partner_id), opened._is_good_link(token)

    @api.model
    def _get_to_approve_domain(self, partner):
        """Return the domain of the documents that ``partner`` can decide now."""
        recipients = (
            self.env["sale.approval.recipient"]
            .sudo()
            .search(
                Domain("partner_id", "=", partner.id)
                & Domain("revoked", "=", False)
                & Domain("expires_on", ">", fields.Datetime.now())
                & Domain("approval_id.decision", "=", "pending")
            )
        )
        deciding = recipients.filtered(lambda recipient: recipient._may_decide())
        return Domain("id", "in", deciding.approval_id[self._approval_subject_field].ids)

    def _has_to_be_approved(self):
        """Whether the document waits for the client."""
        self.ensure_one()
        return self.state == "submitted" and self.sudo().approval_id.kind == "client"

    def _get_approver_names(self):
        self.ensure_one()
        return ", ".join(partner.name or partner.display_name for partner in self._get_policy().approvers)

    def _present_to_client(self, number, submitter=None):
        """Those who are asked follow the discussion: the answer to a question has to reach them."""
        approval = super()._present_to_client(number, submitter)
        comments = self.env.ref("mail.mt_comment")
        self.sudo().message_subscribe(
            partner_ids=approval.sudo().recipient_ids.partner_id.ids, subtype_ids=comments.ids
        )
        return approval

    def _get_portal_rounds(self):
        """Return the decided rounds that concern the client, the newest first."""
        self.ensure_one()
        return self.sudo().approval_ids.filtered(
            lambda approval: approval.kind != "internal" and approval.decision != "pending"
        )

    def _with_team_language(self):
        """Notes inside are written for the team, whatever language the visitor reads."""
        self.ensure_one()
        subject = self.sudo()
        user = subject._get_project_manager()
        return self.with_context(lang=user.lang or subject.company_id.partner_id.lang)

    def _get_portal_page_values(self):
        """Return what the page shows beside the record itself, in the language of the environment."""
        return {}

    def _get_portal_words(self):
        """Return {outcome: words} for decisions that were not recorded."""
        return {}

    def _note_failed_decision(self, decision, error):
        """Look after a decision that failed for no fault of the visitor; everything it did was undone.

        :param str decision: ``approve``, ``changes`` or ``reject``
        :return: whether the team was told; otherwise the visitor reads the error
        """
        return False

    # -- mails -----------------------------------------------------------------------------------------

    def _get_mail_template(self, purpose):
        """Return the XML id of the mail template for ``purpose``.

        :param str purpose: ``submitted``, ``new_link``, ``approved``, ``approved_internal`` or ``changes_requested``
        """
        return f"milestone_billing.mail_template_{self._approval_mail_prefix}_{purpose}"

    def _request_changes(self, evidence):
        # one mail to the project manager is enough: ours says what should change, that of the activity does not
        quiet = self.with_context(mail_activity_quick_update=True)
        approval = super(SaleApprovalMixin, quiet)._request_changes(evidence)
        if self._get_project_manager().email:
            approval._queue_mails(self._get_mail_template("changes_requested"), approval)
        return approval

    def _send_approval_mails(self, approval):
        """Tell those who were asked, and the team, that the document is approved."""
        recipients = approval.recipient_ids.filtered(lambda recipient: recipient._may_open())
        approval._queue_mails(self._get_mail_template("approved"), recipients)
        if approval._get_team_users():
            approval._queue_mails(self._get_mail_template("approved_internal"), approval)
