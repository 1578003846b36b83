from odoo import http

from .portal_milestone import MilestonePage
from .portal_subject_decision import SubjectDecision


class MilestoneDecision(MilestonePage, SubjectDecision):
    """What the client decides on the page of a milestone: approve it, or ask for changes."""

    @http.route(
        ["/my/milestones/<int:milestone_id>/approve"], type="jsonrpc", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_approve(self, milestone_id, name=None, signature=None, **_kwargs):
        """Approve what the page showed.

        :return: for the signature form: ``error``, or ``force_refresh`` with ``redirect_url``
        """
        return self._answer_approval("sale.milestone", milestone_id, name, signature)

    @http.route(
        ["/my/milestones/<int:milestone_id>/changes"], type="http", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_changes(self, milestone_id, recipient=None, token=None, snapshot=None, reason=None, **_kwargs):
        """Ask for changes, with a reason."""
        access = self._get_subject_access("sale.milestone", milestone_id, recipient, token)
        return self._answer_with_reason(access, "changes", snapshot, reason)
