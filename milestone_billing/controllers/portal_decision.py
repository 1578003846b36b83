from odoo import http
from odoo.exceptions import LockError, UserError, ValidationError
from odoo.http import request

from .portal_milestone import MilestonePage
from .signature import read_signature

MAX_NAME = 200
MAX_REASON = 5000


class MilestoneDecision(MilestonePage):
    """What the client decides on the page of a milestone: approve it, or ask for changes."""

    @http.route(
        ["/my/milestones/<int:milestone_id>/approve"], type="jsonrpc", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_approve(self, milestone_id, name=None, signature=None, **_kwargs):
        """Approve what the page showed: link and snapshot come with the address, name and signature from the form.

        :return: for the signature form: ``error``, or ``force_refresh`` with ``redirect_url``
        """
        query = request.httprequest.args
        access = self._get_milestone_access(milestone_id, query.get("recipient"), query.get("token"))
        refusal = self._get_refusal(access)
        if refusal:
            return refusal
        try:
            evidence = {
                **self._prepare_evidence(access, query.get("snapshot")),
                "signed_by": self._read_name(name),
                "signature": read_signature(self.env, signature),
                "consent": access.milestone.with_context(lang=self._read_lang(query.get("lang")))._get_consent(),
            }
            outcome = self._decide(access, evidence, "approve")
        except UserError as error:
            return {"error": str(error)}
        return self._answer(access, outcome)

    @http.route(
        ["/my/milestones/<int:milestone_id>/changes"], type="http", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_changes(self, milestone_id, recipient=None, token=None, snapshot=None, reason=None, **_kwargs):
        """Ask for changes, with a reason."""
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access:
            return request.redirect("/my")
        if self._get_refusal(access):
            return request.redirect(access.get_url(message="decided"))
        reason = (reason or "").replace("\x00", "").strip()
        if not reason or len(reason) > MAX_REASON:
            return request.redirect(access.get_url(message="reason"))
        evidence = {**self._prepare_evidence(access, snapshot), "comment": reason}
        try:
            outcome = self._decide(access, evidence, "changes")
        except UserError:
            outcome = "failed"
        return request.redirect(access.get_url(message=outcome))

    def _get_refusal(self, access):
        """Return what to answer somebody who cannot decide, or None."""
        if not access:
            return {"error": self.env._("This link is not valid.")}
        if request.env.user._is_internal():
            return {"error": self.env._("This is a preview. Only the client decides here.")}
        if access.is_dead():
            return self._answer(access, None, error=self.env._("This link is no longer valid."))
        if not access.milestone._has_to_be_approved():
            return self._answer(access, "decided")
        if not access.can_decide():
            names = access.milestone._get_approver_names()
            return {"error": self.env._("Only %(names)s can decide.", names=names)}
        return None

    def _answer(self, access, outcome, error=None):
        """Return the answer to the signature form: to a page that tells how it ended."""
        errors = {
            "decided": self.env._("This milestone does not wait for a decision any more."),
            "changed": self.env._("The milestone changed since you opened it. Please look at the new version."),
            "busy": self.env._("A decision is being recorded at this moment. Please look again."),
        }
        answer = {"force_refresh": True, "redirect_url": access.get_url(**({"message": outcome} if outcome else {}))}
        error = error or errors.get(outcome)
        return {**answer, "error": error} if error else answer

    def _decide(self, access, evidence, decision):
        """Record a decision.

        :return: "approved" or "changes"; or what came first: "decided", "changed" (there is a new version), "busy"
        :raises UserError: for any other reason
        """
        milestone = access.milestone._with_team_language()
        methods = {"approve": milestone._approve, "changes": milestone._request_changes}
        outcomes = {"approve": "approved", "changes": "changes"}
        try:
            with request.env.cr.savepoint():
                methods[decision](evidence)
        except LockError:
            return "busy"
        except UserError:
            outcome = self._get_lost_race(milestone, evidence["snapshot_hash"])
            if not outcome:
                raise
            return outcome
        return outcomes[decision]

    def _get_lost_race(self, milestone, snapshot_hash):
        """Return what came before a decision that was refused; present the new version of changed content."""
        if not milestone._has_to_be_approved():
            return "decided"
        if snapshot_hash == milestone.approval_id.snapshot_hash and milestone._is_snapshot_current():
            return None
        try:
            milestone._renew_round()
        except LockError:
            return "busy"
        return "changed"

    def _prepare_evidence(self, access, snapshot_hash):
        return {
            "partner": access.recipient.partner_id,
            "method": "link" if access.link and request.env.user._is_public() else "portal",
            "snapshot_hash": snapshot_hash,
            "ip_address": request.httprequest.remote_addr,
            "user_agent": request.httprequest.user_agent.string,
        }

    def _read_name(self, name):
        name = " ".join(name.replace("\x00", "").split()) if isinstance(name, str) else ""
        if not name or len(name) > MAX_NAME:
            raise ValidationError(self.env._("Please sign with your name."))
        return name

    def _read_lang(self, code):
        """Return the language in which the page showed the consent, if it is one of ours."""
        return code if code in dict(request.env["res.lang"].get_installed()) else request.env.lang
