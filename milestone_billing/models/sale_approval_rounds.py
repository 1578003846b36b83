from odoo import models
from odoo.exceptions import UserError
from odoo.tools import format_date, plaintext2html

from .sale_approval_mixin import REVIEWER_GROUP


class SaleApprovalMixin(models.AbstractModel):
    """The rounds of a review: opened, locked for a decision, closed, renewed."""

    _inherit = "sale.approval.mixin"

    def _is_snapshot_current(self):
        """Whether what waits for a decision still is what was submitted."""
        self.ensure_one()
        approval = self.sudo().approval_id
        return bool(approval) and approval.snapshot_hash == approval._hash_text(self.sudo()._get_snapshot())

    def _renew_round(self):
        """Replace an open client round whose content changed by a new round of the same people."""
        self.ensure_one()
        subject = self.sudo()
        subject.lock_for_update(allow_referencing=True)
        approval = subject.approval_id
        if not approval or approval.kind != "client" or subject._is_snapshot_current():
            return approval
        subject._close_round("superseded", {"method": "system"}, revoke=False)
        return subject._present_to_client(approval.round + 1, approval.submitted_by)

    def _lock_for_decision(self, evidence):
        """Return the round that waits for the client, locked and equal to what was shown."""
        self.lock_for_update(allow_referencing=True)
        approval = self.sudo().approval_id
        if self.state != "submitted" or not approval or approval.kind != "client":
            raise UserError(self.env._("%(subject)s does not wait for a decision any more.", subject=self.display_name))
        if evidence.get("snapshot_hash") != approval.snapshot_hash or not self._is_snapshot_current():
            raise UserError(
                self.env._(
                    "%(subject)s changed since you opened it. Please look at the new version.",
                    subject=self.display_name,
                )
            )
        return approval

    def _open_round(self, number):
        self.ensure_one()
        policy = self._get_policy()
        if not policy.internal_review:
            return self._present_to_client(number)
        approval = self._create_approval("internal", number)
        self._set_review_state("internal_review")
        self._plan_internal_review()
        return approval

    def _present_to_client(self, number, submitter=None):
        """Open the client's round and mail each approver a personal link.

        :param submitter: the user who presented the work, by default the present one
        :raises UserError: when there is no approver, or one without e-mail address
        """
        self.ensure_one()
        approvers = self._get_policy().approvers
        if not approvers:
            raise UserError(
                self.env._(
                    "Nobody is named to approve %(subject)s. Choose the approvers on the order.",
                    subject=self.display_name,
                )
            )
        mute = approvers.filtered(lambda partner: not partner.email)
        if mute:
            raise UserError(
                self.env._(
                    "%(names)s cannot be asked to approve: the e-mail address is missing.",
                    names=", ".join(mute.mapped("display_name")),
                )
            )
        approval = self._create_approval("client", number, submitter)
        self._set_review_state("submitted")
        recipients = approval._invite(approvers)
        self._post_review_note(
            self.env._(
                "Submitted for approval to %(names)s (round %(round)s, answer due %(date)s).",
                names=", ".join(recipients.partner_id.mapped("display_name")),
                round=number,
                date=format_date(self.env, approval.due_date),
            )
        )
        return approval

    def _create_approval(self, kind, number, submitter=None):
        self.ensure_one()
        snapshot = self.sudo()._get_snapshot()
        return (
            self.env["sale.approval"]
            .sudo()
            ._create_evidence(
                {
                    self._approval_subject_field: self.id,
                    "kind": kind,
                    "round": number,
                    "snapshot": snapshot,
                    "submitted_by": (submitter or self.env.user).id,
                    "due_date": self._get_policy().due_date if kind == "client" else False,
                }
            )
        )

    def _close_round(self, decision, evidence, revoke=True):
        self.ensure_one()
        approval = self.sudo().approval_id
        values = dict(evidence)
        values.setdefault("partner", self.env.user.partner_id)
        approval._decide(decision, values)
        if revoke and decision != "approved":
            approval.recipient_ids._write_protected({"revoked": True})
        self._close_review_activities()

    def _grant_approval(self):
        self._set_review_state("approved")
        self._after_approval()

    def _set_review_state(self, state):
        self.sudo()._write_protected({"state": state})

    def _on_changes_requested(self, reason, partner=None):
        self.ensure_one()
        self._set_review_state("changes_requested")
        name = (partner or self.env.user.partner_id).display_name
        note = self.env._("%(name)s asks for changes: %(reason)s", name=name, reason=reason)
        self._post_review_note(note, partner)
        manager = self._get_project_manager()
        if manager:
            self.sudo().activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=manager.id,
                summary=self.env._("Changes requested on %(subject)s", subject=self.name),
                note=plaintext2html(reason),
            )

    def _post_review_note(self, body, partner=None):
        """Write a note into the chatter; in the portal nobody but the system may post."""
        author = partner or self.env.user.partner_id
        self.sudo().message_post(body=body, author_id=author.id, subtype_xmlid="mail.mt_note")

    def _plan_internal_review(self):
        group = self.env.ref(REVIEWER_GROUP).sudo()
        for subject in self.sudo():
            reviewers = group.all_user_ids.filtered(
                lambda user, subject=subject: user != self.env.user and subject.company_id in user.company_ids
            )
            if not reviewers:
                raise UserError(
                    self.env._("Nobody but you may review inside. Give a second person the right to review milestones.")
                )
            subject.activity_schedule(
                self._approval_review_activity,
                user_id=reviewers[0].id,
                summary=self.env._("Review %(subject)s", subject=subject.name),
            )

    def _close_review_activities(self):
        self.sudo().activity_unlink([self._approval_review_activity])
