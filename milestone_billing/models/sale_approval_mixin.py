from datetime import date
from typing import Any, NamedTuple

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

REVIEWER_GROUP = "milestone_billing.group_internal_reviewer"
ON_BEHALF_GROUP = "milestone_billing.group_approve_on_behalf"


class ApprovalPolicy(NamedTuple):
    """Who has to agree before something counts as approved."""

    internal_review: bool  # a second person of the company comes first
    asks_client: bool
    rule: str  # how many of the approvers: "any"
    approvers: Any  # res.partner, in the order in which they are asked
    due_date: date  # last day of the review period


class SaleApprovalMixin(models.AbstractModel):
    """The approval engine: submit, review inside, decide by the client, withdraw, prove.

    A model that inherits it has ``order_id``, ``company_id``, ``name`` and ``state``, an
    ``approval_ids`` One2many on :class:`sale.approval`, and says in ``_approval_subject_field``
    through which Many2one. It implements the hooks at the end of this class. ``state`` takes the
    values ``internal_review``, ``submitted``, ``approved`` and ``changes_requested``.

    How a round is opened and closed stands in ``sale_approval_rounds.py``.

    A decision is the act of a person: it is small, it commits first and it never depends on what
    follows from it (see ``_after_approval``).
    """

    _name = "sale.approval.mixin"
    _description = "Approval by Review Rounds"

    _approval_subject_field = None
    _approval_open_states = ("in_progress", "changes_requested")  # from which it can be submitted
    _approval_working_state = "in_progress"  # to which a review that is taken back returns
    _approval_review_activity = "milestone_billing.mail_activity_internal_review"

    approval_id = fields.Many2one(
        "sale.approval",
        string="Open Review",
        compute="_compute_approval_id",
        compute_sudo=True,
        search="_search_approval_id",
        help="The review round that waits for a decision.",
    )
    approval_round = fields.Integer(
        string="Round", compute="_compute_approval_id", compute_sudo=True, help="Number of presentations so far."
    )
    review_due_date = fields.Date(string="Answer Due", compute="_compute_approval_id", compute_sudo=True)

    @api.depends("approval_ids.decision", "approval_ids.round")
    def _compute_approval_id(self):
        for subject in self:
            pending = subject.approval_ids.filtered(lambda approval: approval.decision == "pending")[:1]
            subject.approval_id = pending
            subject.approval_round = max(subject.approval_ids.mapped("round"), default=0)
            subject.review_due_date = pending.due_date

    @api.model
    def _search_approval_id(self, operator, value):
        if operator != "in":
            return NotImplemented
        pending = fields.Domain("decision", "=", "pending")
        ids = [approval_id for approval_id in value if approval_id]
        found = fields.Domain("approval_ids", "any", pending & fields.Domain("id", "in", ids))
        return found | ~fields.Domain("approval_ids", "any", pending) if False in value else found

    # -- the team's side ---------------------------------------------------------------------

    def action_submit(self):
        """Present the deliverables: to the internal reviewer if the policy asks, else to the client.

        :raises AccessError: when the user may not deliver
        :raises UserError: in another state than in progress (or after a request for changes), and
            with the list of what is missing
        """
        self._check_can_deliver()
        self.lock_for_update(allow_referencing=True)
        for subject in self:
            if subject.state not in subject._approval_open_states:
                raise UserError(subject._get_closed_message())
            subject._check_can_submit()
        for subject in self:
            subject._open_round(subject.approval_round + 1)
        return True

    def action_withdraw(self):
        """Take a review back: the links die, the work goes on, the round stays on record.

        :raises UserError: when nothing is under review
        """
        self._check_can_deliver()
        self.lock_for_update(allow_referencing=True)
        for subject in self:
            subject._check_pending(self.env._("%(subject)s is not under review.", subject=subject.display_name))
        for subject in self:
            subject._close_round("withdrawn", {"method": "internal"})
            subject._set_review_state(subject._approval_working_state)
            subject._post_review_note(
                self.env._("Withdrawn from review (round %(round)s).", round=subject.approval_round)
            )
        return True

    def action_internal_approve(self):
        """Pass the internal review: on to the client, or approved where the policy asks nobody else.

        :raises AccessError: without the right to review, or for one's own submission (four eyes)
        """
        self._check_can_review()
        self.lock_for_update(allow_referencing=True)
        for subject in self:
            subject._check_internal_pending()
        for subject in self:
            internal = subject.sudo().approval_id
            asks_client = subject._get_policy().asks_client
            subject._close_round("approved", {"method": "internal"})
            if asks_client:
                subject._present_to_client(internal.round, internal.submitted_by)
            else:
                subject._grant_approval()
        return True

    def action_internal_reject(self, reason=None):
        """Send the work back to the team.

        :param str reason: what has to change; without it a dialog asks for it
        """
        self._check_can_review()
        if not reason:
            return self._open_reason_dialog("internal_reject")
        self.lock_for_update(allow_referencing=True)
        for subject in self:
            subject._check_internal_pending()
        for subject in self:
            subject._close_round("changes_requested", {"method": "internal", "comment": reason})
            subject._on_changes_requested(reason)
        return True

    def action_approve_on_behalf(self):
        """Open the dialog to record an approval that the client gave elsewhere.

        :raises AccessError: without the right to do so
        """
        self.ensure_one()
        self._check_on_behalf()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Approved by the Client Elsewhere"),
            "res_model": "sale.approval.on.behalf",
            "view_mode": "form",
            "target": "new",
            "context": {f"default_{self._approval_subject_field}": self.id},
        }

    def action_verify_evidence(self):
        """Tell whether the evidence of the reviews is unbroken.

        :raises AccessError: for users of the portal
        """
        self.ensure_one()
        self.check_access("read")
        if self.env.user.share:
            raise AccessError(self.env._("Only employees verify evidence."))
        broken = self._verify_evidence()
        if broken:
            message, kind = broken, "danger"
        else:
            message, kind = self.env._("All evidence is as it was recorded."), "success"
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"title": self.env._("Evidence"), "message": message, "type": kind, "sticky": bool(broken)},
        }

    # -- the client's side, called by portal, dialog and cron -----------------------------------

    def _approve(self, evidence):
        """Record the client's approval of what was shown.

        :param dict evidence: ``partner`` (res.partner who decides), ``method``, ``snapshot_hash`` that
            was shown, ``signed_by``, ``signature`` (base64), ``consent``, ``comment``, ``ip_address``,
            ``user_agent``; for approvals elsewhere also ``proof`` (ir.attachment) and ``approved_on``
        :raises UserError: when nothing waits for the client, or something else was shown
        """
        self.ensure_one()
        approval = self._lock_for_decision(evidence)
        approval._note_recipient(evidence.get("partner"), "approved")
        if not approval._is_satisfied(self._get_policy()):
            return approval
        self._close_round("approved", evidence)
        self._grant_approval()
        return approval

    def _request_changes(self, evidence):
        """Record that the client asks for changes; ``evidence['comment']`` says which.

        :raises UserError: without a reason, when nothing waits for the client, or something else was shown
        """
        self.ensure_one()
        if not (evidence.get("comment") or "").strip():
            raise UserError(self.env._("Please say what should change, so that the team can act on it."))
        approval = self._lock_for_decision(evidence)
        approval._note_recipient(evidence.get("partner"), "changes_requested")
        self._close_round("changes_requested", evidence)
        self._on_changes_requested(evidence["comment"], evidence.get("partner"))
        return approval

    def _get_closed_message(self):
        """Return why it cannot be submitted in its present state."""
        self.ensure_one()
        return self.env._(
            "%(subject)s cannot be presented for review in its present state. Start the work first.",
            subject=self.display_name,
        )

    def _open_reason_dialog(self, purpose):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Reason"),
            "res_model": "sale.approval.reason",
            "view_mode": "form",
            "target": "new",
            "context": {f"default_{self._approval_subject_field}": self.id, "default_purpose": purpose},
        }

    # -- rights ------------------------------------------------------------------------------------

    def _check_pending(self, message):
        if self.state not in ("internal_review", "submitted") or not self.approval_id:
            raise UserError(message)

    def _check_internal_pending(self):
        if self.state != "internal_review" or self.approval_id.kind != "internal":
            raise UserError(self.env._("%(subject)s does not wait for an internal review.", subject=self.display_name))
        if self.sudo().approval_id.submitted_by == self.env.user:
            raise AccessError(
                self.env._(
                    "You submitted %(subject)s yourself: somebody else has to review it.", subject=self.display_name
                )
            )
        if not self._is_snapshot_current():
            raise UserError(
                self.env._(
                    "%(subject)s changed since it was submitted: withdraw it and submit it again.",
                    subject=self.display_name,
                )
            )

    def _check_can_review(self):
        if not self.env.user.has_group(REVIEWER_GROUP):
            raise AccessError(self.env._("Only internal reviewers may decide an internal review."))
        self.check_access("read")

    def _check_on_behalf(self):
        if not self.env.user.has_group(ON_BEHALF_GROUP):
            raise AccessError(self.env._("You are not allowed to record an approval on behalf of the client."))
        self.check_access("write")

    # -- evidence ----------------------------------------------------------------------------------

    def _verify_evidence(self):
        """Recompute the chain of the reviews.

        :return: what is wrong with the first broken link, or an empty string
        """
        self.ensure_one()
        return self.sudo().order_id._verify_contract() or self.sudo().approval_ids._verify_chain(self)

    def _get_chain_anchor(self):
        """Return the hash that the first link refers to: that of the agreed contract."""
        return self.order_id.milestone_contract_hash or ""

    # -- hooks ---------------------------------------------------------------------------------------

    def _get_policy(self):
        """Return the :class:`ApprovalPolicy` that rules the next decision."""
        raise NotImplementedError

    def _get_snapshot(self):
        """Return the canonical JSON text of what is decided on."""
        raise NotImplementedError

    def _check_can_deliver(self):
        raise NotImplementedError

    def _check_can_submit(self):
        """:raises UserError: with the list of what is missing"""

    def _get_project_manager(self):
        raise NotImplementedError

    def _after_approval(self):
        """What follows from an approval; must not be able to fail for reasons of the accounts."""
