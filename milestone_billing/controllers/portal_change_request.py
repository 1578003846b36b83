from odoo import http
from odoo.http import content_disposition, request

from .portal_change_request_list import ChangeRequestPortal
from .portal_subject import PRIVATE_HEADERS
from .portal_subject_decision import SubjectDecision

PAGE = "/my/change_requests/<int:request_id>"


class ChangeRequestPage(ChangeRequestPortal, SubjectDecision):
    """The page of a change request, and what the client decides there: approve, ask for changes, decline."""

    @http.route([PAGE], type="http", auth="public", website=True)
    def portal_change_request_page(self, request_id, recipient=None, token=None, message=None, **kwargs):
        access = self._get_change_request_access(request_id, recipient, token)
        if access and not access.is_dead() and kwargs.get("report_type") == "pdf":
            return self._make_change_request_pdf(access)
        return self._show_subject(access, message)

    @http.route([f"{PAGE}/approve"], type="jsonrpc", auth="public", methods=["POST"], website=True)
    def portal_change_request_approve(self, request_id, name=None, signature=None, **_kwargs):
        """Approve what the page showed; the contract changes in the same transaction, or nothing does.

        :return: for the signature form: ``error``, or ``force_refresh`` with ``redirect_url``
        """
        return self._answer_approval("sale.change.request", request_id, name, signature)

    @http.route([f"{PAGE}/changes"], type="http", auth="public", methods=["POST"], website=True)
    def portal_change_request_changes(
        self, request_id, recipient=None, token=None, snapshot=None, reason=None, **_kwargs
    ):
        """Ask for another version, with a reason."""
        access = self._get_change_request_access(request_id, recipient, token)
        return self._answer_with_reason(access, "changes", snapshot, reason)

    @http.route([f"{PAGE}/reject"], type="http", auth="public", methods=["POST"], website=True)
    def portal_change_request_reject(
        self, request_id, recipient=None, token=None, snapshot=None, reason=None, **_kwargs
    ):
        """Decline for good, with a reason."""
        access = self._get_change_request_access(request_id, recipient, token)
        return self._answer_with_reason(access, "reject", snapshot, reason)

    @http.route([f"{PAGE}/attachments/<int:attachment_id>"], type="http", auth="public", website=True)
    def portal_change_request_attachment(self, request_id, attachment_id, recipient=None, token=None, **_kwargs):
        """Download a file of this request, and no other file."""
        access = self._get_change_request_access(request_id, recipient, token)
        files = access.subject._get_portal_files() if access else None
        return self._send_file(access, files, attachment_id)

    @http.route([f"{PAGE}/link"], type="http", auth="public", methods=["POST"], website=True)
    def portal_change_request_new_link(self, request_id, recipient=None, token=None, **_kwargs):
        """Ask for a new link instead of a dead one; it goes to the address we know, whoever asks."""
        return self._send_new_link(self._get_change_request_access(request_id, recipient, token))

    def _get_change_request_access(self, request_id, recipient_id=None, token=None):
        return self._get_subject_access("sale.change.request", request_id, recipient_id, token)

    def _make_change_request_pdf(self, access):
        request_sudo = access.subject
        if not request_sudo._is_shown_priced():
            return request.redirect(access.get_url())
        Report = request.env["ir.actions.report"].sudo().with_company(request_sudo.company_id)
        content = Report._render_qweb_pdf("milestone_billing.action_report_change_request", request_sudo.ids)[0]
        headers = {
            "Content-Type": "application/pdf",
            "Content-Disposition": content_disposition(f"{request_sudo._get_report_base_filename()}.pdf"),
            **PRIVATE_HEADERS,
        }
        return request.make_response(content, headers=list(headers.items()))
