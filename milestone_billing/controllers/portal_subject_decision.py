from odoo.exceptions import LockError, UserError, ValidationError
from odoo.http import request

from .portal_subject import SubjectPages
from .signature import read_signature

MAX_NAME = 200
MAX_REASON = 5000
DECISIONS = {
    # what the visitor chose: (method of the subject, outcome)
    "approve": ("_approve", "approved"),
    "changes": ("_request_changes", "changes"),
    "reject": ("_reject", "rejected"),
}


class SubjectDecision(SubjectPages):
    """What a client decides on a page: approve it, ask for changes, or decline it."""

    def _answer_approval(self, model, subject_id, name, signature):
        """Approve what the page showed: link and snapshot come with the address, name and signature from the form.

        :return: for the signature form: ``error``, or ``force_refresh`` with ``redirect_url``
        """
        query = request.httprequest.args
        access = self._get_subject_access(model, subject_id, query.get("recipient"), query.get("token"))
        refusal = self._get_refusal(access)
        if refusal:
            return refusal
        try:
            evidence = {
                **self._prepare_evidence(access, query.get("snapshot")),
                "signed_by": self._read_name(name),
                "signature": read_signature(self.env, signature),
                "consent": access.subject.with_context(lang=self._read_lang(query.get("lang")))._get_consent(),
            }
            outcome = self._decide(access, evidence, "approve")
        except UserError as error:
            return {"error": str(error)}
        return self._answer(access, outcome)

    def _answer_with_reason(self, access, decision, snapshot, reason):
        """Ask for changes, or decline, with a reason."""
        if not access:
            return request.redirect("/my")
        if self._get_refusal(access):
            return request.redirect(access.get_url(message="decided"))
        reason = (reason or "").replace("\x00", "").strip()
        if not reason or len(reason) > MAX_REASON:
            return request.redirect(access.get_url(message="reason"))
        evidence = {**self._prepare_evidence(access, snapshot), "comment": reason}
        try:
            outcome = self._decide(access, evidence, decision)
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
        if not access.subject._has_to_be_approved():
            return self._answer(access, "decided")
        if not access.can_decide():
            names = access.subject._get_approver_names()
            return {"error": self.env._("Only %(names)s can decide.", names=names)}
        return None

    def _answer(self, access, outcome, error=None):
        """Return the answer to the signature form: to a page that tells how it ended."""
        answer = {"force_refresh": True, "redirect_url": access.get_url(**({"message": outcome} if outcome else {}))}
        words = access.subject.with_context(lang=request.env.lang)._get_portal_words()
        error = error or words.get(outcome)
        return {**answer, "error": error} if error else answer

    def _decide(self, access, evidence, decision):
        """Record a decision.

        :return: the outcome in ``DECISIONS``; or what came first: "decided", "changed" (there is a new
            version), "recalled" (the team has to look at it again), "busy"; or "failed", when the team was told
        :raises UserError: for any other reason
        """
        subject = access.subject._with_team_language()
        method, outcome = DECISIONS[decision]
        try:
            with request.env.cr.savepoint():
                getattr(subject, method)(evidence)
        except LockError:
            return "busy"
        except UserError as error:
            lost = self._get_lost_race(subject, evidence["snapshot_hash"])
            if lost:
                return lost
            if not subject._note_failed_decision(decision, error):
                raise
            return "failed"
        return outcome

    def _get_lost_race(self, subject, snapshot_hash):
        """Return what came before a decision that was refused; present the new version of changed content."""
        if not subject._has_to_be_approved():
            return "decided"
        if snapshot_hash == subject.approval_id.snapshot_hash and subject._is_snapshot_current():
            return None
        try:
            subject._renew_round()
        except LockError:
            return "busy"
        return "changed" if subject._has_to_be_approved() else "recalled"

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
