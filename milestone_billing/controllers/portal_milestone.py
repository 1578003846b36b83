from odoo import http
from odoo.http import request

from .portal import MilestonePortal


class MilestonePage(MilestonePortal):
    """The page of a milestone, opened by a personal link or with a login; nothing is decided here."""

    @http.route(["/my/milestones/<int:milestone_id>"], type="http", auth="public", website=True)
    def portal_milestone_page(self, milestone_id, recipient=None, token=None, message=None, **_kwargs):
        return self._show_subject(self._get_milestone_access(milestone_id, recipient, token), message)

    @http.route(
        ["/my/milestones/<int:milestone_id>/attachments/<int:attachment_id>"],
        type="http",
        auth="public",
        website=True,
    )
    def portal_milestone_attachment(self, milestone_id, attachment_id, recipient=None, token=None, **_kwargs):
        """Download a file of a deliverable of this milestone, and no other file."""
        access = self._get_milestone_access(milestone_id, recipient, token)
        files = access.subject.deliverable_ids.attachment_ids if access else None
        return self._send_file(access, files, attachment_id)

    @http.route(
        ["/my/milestones/<int:milestone_id>/invoices"], type="jsonrpc", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_invoices(self, milestone_id, recipient=None, token=None, **_kwargs):
        """Tell a page that waits for the invoice of an approved milestone whether it is there.

        :return: dict of ``waiting`` and, once there is something to show, ``html``
        """
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access or access.is_dead():
            return {"waiting": False}
        milestone = access.subject
        if milestone._is_waiting_for_invoice():
            return {"waiting": True}
        html = request.env["ir.qweb"]._render(
            "milestone_billing.portal_milestone_invoices", {"milestone": milestone, "access": access}
        )
        return {"waiting": False, "html": html}

    @http.route(["/my/milestones/<int:milestone_id>/link"], type="http", auth="public", methods=["POST"], website=True)
    def portal_milestone_new_link(self, milestone_id, recipient=None, token=None, **_kwargs):
        """Ask for a new link instead of a dead one; it goes to the address we know, whoever asks."""
        return self._send_new_link(self._get_milestone_access(milestone_id, recipient, token))

    def _get_milestone_access(self, milestone_id, recipient_id=None, token=None):
        return self._get_subject_access("sale.milestone", milestone_id, recipient_id, token)
