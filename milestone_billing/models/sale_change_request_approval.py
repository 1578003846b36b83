import json

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import plaintext2html


class SaleChangeRequest(models.Model):
    """Review and approval of change requests: what the approval engine asks of its subject."""

    _inherit = "sale.change.request"

    _approval_subject_field = "change_request_id"
    _approval_mail_prefix = "change_request"
    _approval_open_states = ("draft", "changes_requested")
    _approval_working_state = "draft"
    _approval_review_activity = "milestone_billing.mail_activity_change_review"

    approval_ids = fields.One2many("sale.approval", "change_request_id", string="Reviews", readonly=True, copy=False)
    accepted_approval_id = fields.Many2one(
        "sale.approval", string="Acceptance", readonly=True, copy=False, ondelete="restrict"
    )

    def action_submit(self):
        """Present priced changes: to the internal reviewer if the contract asks for one, else to the client.

        :raises UserError: with the list of what is missing, or cannot be applied
        """
        for request in self:
            request._check_can_deliver()
            request.lock_for_update(allow_referencing=True)
            if request.state in self._approval_open_states and not request._get_problems():
                request.line_ids.deliverable_ids._keep_old_names()
                request._keep_presented_amounts()
        return super().action_submit()

    def action_refresh_base(self):
        """Take the milestones as they are now for what the request is written against.

        :raises UserError: while it is under review, or once it is decided
        """
        self.check_access("write")
        self._check_content_free()
        self.line_ids._keep_base()
        self.line_ids.deliverable_ids._keep_old_names()
        return True

    def _get_closed_message(self):
        self.ensure_one()
        return self.env._("%(request)s cannot be presented in its present state.", request=self.display_name)

    # -- the client declines -----------------------------------------------------------------------------

    def _reject(self, evidence):
        """Record that the client declines the change for good; ``evidence['comment']`` says why.

        :raises UserError: without a reason, when nothing waits for the client, or something else was shown
        """
        self.ensure_one()
        if not (evidence.get("comment") or "").strip():
            raise UserError(self.env._("Please say why you decline the change."))
        approval = self._lock_for_decision(evidence)
        approval._note_recipient(evidence.get("partner"), "rejected")
        self._close_round("rejected", evidence)
        self._set_review_state("rejected")
        partner = evidence.get("partner")
        note = self.env._(
            "%(name)s declines the change: %(reason)s", name=partner.display_name, reason=evidence["comment"]
        )
        self._post_review_note(note, partner)
        request = self.sudo()
        if request.at_risk_since:
            request._warn_of_lost_work()
        if approval._get_team_users():
            approval._queue_mails(self._get_mail_template("rejected"), approval)
        return approval

    # -- hooks of the engine ---------------------------------------------------------------------------------

    def _get_policy(self):
        """Both sides agree on a change, whoever approves the milestones."""
        self.ensure_one()
        return self.sudo().order_id._get_approval_policy()._replace(asks_client=True)

    def _check_can_submit(self):
        self.ensure_one()
        if problems := self._get_problems():
            raise UserError(
                self.env._("%(request)s cannot be presented yet:", request=self.display_name)
                + "".join(f"\n• {problem}" for problem in problems)
            )

    def _lock_for_decision(self, evidence):
        """A change is decided on the contract that it was written for.

        :raises UserError: when another change, or an approval, came first
        """
        self.lock_for_update(allow_referencing=True)
        request = self.sudo()
        if request.state == "submitted" and (conflict := request._get_base_conflicts()):
            raise UserError("\n".join(conflict))
        return super()._lock_for_decision(evidence)

    def _renew_round(self):
        """Present the contract as it is by now; what the team never presented goes back to the team.

        That is a request whose milestones changed, and one that says something else than it did.
        """
        self.ensure_one()
        request = self.sudo()
        request.lock_for_update(allow_referencing=True)
        approval = request.approval_id
        if approval.kind != "client":
            return approval
        if reasons := request._get_obstacles_to_renewal():
            conflicts = request._with_client_language()._get_base_conflicts()
            request._recall("\n".join(reasons), "\n".join(conflicts))
            return request.approval_id
        return super()._renew_round()

    def _get_obstacles_to_renewal(self):
        """Return why a new version cannot be presented without the team; keep its amounts when it can."""
        self.ensure_one()
        if conflicts := self._get_base_conflicts():
            return conflicts
        if self._is_snapshot_current():
            return []
        if self._is_written_anew():
            return [self.env._("It says something else than what was presented. Check it, and present it again.")]
        try:
            self._keep_presented_amounts()
        except UserError as error:
            return [str(error)]
        return []

    def _is_written_anew(self):
        """Whether the request itself is not what was presented, whatever became of the contract since then."""
        self.ensure_one()
        presented, present = json.loads(self.approval_id.snapshot), json.loads(self._get_snapshot())
        return {**presented, "impact": None} != {**present, "impact": None}

    def _follow_contract(self):
        """Present what waits for the client with the contract as another change order left it.

        Whoever decides on it at this very moment is refused, and the page presents it.
        """
        self.ensure_one()
        if not self.try_lock_for_update(allow_referencing=True):
            return
        self._refresh_deltas()
        try:
            with self.env.cr.savepoint():
                self._renew_round()
        except UserError as error:
            self._recall(str(error))

    def _recall(self, reason, told=""):
        """Take an open request back to the team because something else came first, and say what.

        :param str told: the reason for those who were asked to approve it, in the language of the client
        """
        self.ensure_one()
        was_presented = self.approval_id.kind == "client"
        recipients = self.approval_id.recipient_ids if was_presented else self.env["sale.approval.recipient"]
        if self.approval_id:
            self._close_round("withdrawn", {"method": "system"})
            self._set_review_state("draft")
        self._post_review_note(self.env._("Back to the team: %(reason)s", reason=reason))
        user = self._get_project_manager()
        if user:
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=self.env._("Look at %(request)s again", request=self.name),
                note=plaintext2html(reason),
            )
        if recipients:
            approvals = self.env["sale.approval"].with_context(recall_reason=told)
            approvals._queue_mails(self._get_mail_template("recalled"), recipients)

    def _get_project_manager(self):
        """Return the user who is responsible for the delivery (may be empty)."""
        self.ensure_one()
        request = self.sudo()
        return request.project_id.user_id or request.user_id

    def _get_snapshot(self):
        """The impact is in words too: they are the client's, whoever presents, reads or decides."""
        self.ensure_one()
        return self.env["sale.approval"]._dump_canonical(self._with_client_language()._prepare_snapshot_values())

    def _with_client_language(self):
        self.ensure_one()
        partner = self.order_id.partner_id
        return self.with_context(lang=partner.lang or self.company_id.partner_id.lang or "en_US")

    def _prepare_snapshot_values(self):
        """Return everything that an approval of this request is about; amounts as exact texts."""
        self.ensure_one()
        order = self.order_id
        return {
            "type": "change_request",
            "id": self.id,
            "name": self.name,
            "order": order.name,
            "contract": order.milestone_contract_hash or "",
            "company": order.company_id.id,
            "customer": order.partner_id.commercial_partner_id.id,
            "currency": order.currency_id.name,
            "title": self.title,
            "category": self.category,
            "reason": self.reason,
            "scope": self.description or "",
            "effort": repr(self.effort_hours),
            "resources": self.resources or "",
            "files": [
                {
                    "id": attachment.id,
                    "name": attachment.name,
                    "checksum": attachment.checksum or "",
                    "size": attachment.file_size,
                }
                for attachment in self.attachment_ids.sorted("id")
            ],
            "lines": self.line_ids._prepare_snapshot_values(),
            "impact": self._prepare_impact(),
        }

    def _grant_approval(self):
        """Applied in the transaction of the approval, wholly or not at all."""
        self.sudo()._apply()
        self._after_approval()

    def _after_approval(self):
        for request in self.sudo():
            request._send_approval_mails(request.accepted_approval_id)

    def _verify_evidence(self):
        """An approved request has an approval, and it is the last word."""
        broken = super()._verify_evidence()
        if broken or self.state != "approved":
            return broken
        request = self.sudo()
        last = request.approval_ids.sorted("id")[-1:]
        if last.decision != "approved" or last != request.accepted_approval_id:
            return self.env._(
                "%(request)s counts as approved, and its last review says something else.", request=self.display_name
            )
        if request.agreed_contract_hash != last._hash_text(request.agreed_contract or ""):
            return self.env._("The contract that %(request)s led to was altered.", request=self.display_name)
        return ""
