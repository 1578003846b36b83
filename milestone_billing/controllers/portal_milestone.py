from werkzeug.exceptions import NotFound

from odoo import SUPERUSER_ID, http
from odoo.http import request

from .access import MilestoneAccess
from .portal import MilestonePortal

MAX_ID = 2**31 - 1
PAGE_MESSAGES = frozenset({"approved", "changes", "changed", "decided", "busy", "reason", "failed"})
# The address of a page may hold a personal link: it is not passed on, kept or framed anywhere.
PRIVATE_HEADERS = {
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
}


class MilestonePage(MilestonePortal):
    """The page of a milestone, opened by a personal link or with a login; nothing is decided here."""

    @http.route(["/my/milestones/<int:milestone_id>"], type="http", auth="public", website=True)
    def portal_milestone_page(self, milestone_id, recipient=None, token=None, message=None, **_kwargs):
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access:
            return request.redirect("/my")
        if access.is_dead():
            return self._render_dead_link(access)
        if access.is_own() and self._is_person_looking():
            access.recipient._note_viewed()
        return self._render_private(
            "milestone_billing.portal_milestone_page", self._prepare_milestone_page_values(access, message)
        )

    @http.route(
        ["/my/milestones/<int:milestone_id>/attachments/<int:attachment_id>"],
        type="http",
        auth="public",
        website=True,
    )
    def portal_milestone_attachment(self, milestone_id, attachment_id, recipient=None, token=None, **_kwargs):
        """Download a file of a deliverable of this milestone, and no other file."""
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access:
            return request.redirect("/my")
        if access.is_dead():
            return self._render_dead_link(access)
        files = access.milestone.deliverable_ids.attachment_ids
        attachment = files.filtered(lambda file: file.id == attachment_id and file.type != "url")
        if not attachment:
            raise NotFound()
        stream = request.env["ir.binary"]._get_stream_from(attachment)
        return stream.get_response(as_attachment=True)

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
        milestone = access.milestone
        if milestone._is_waiting_for_invoice():
            return {"waiting": True}
        html = request.env["ir.qweb"]._render(
            "milestone_billing.portal_milestone_invoices", {"milestone": milestone, "access": access}
        )
        return {"waiting": False, "html": html}

    def _get_milestone_access(self, milestone_id, recipient_id=None, token=None):
        """Return the :class:`MilestoneAccess` of the visitor, or None: nothing tells what exists.

        A login counts for more than a link. The link of somebody else lets its holder read on, as it
        would without login, but not act.
        """
        if not 0 < milestone_id <= MAX_ID:
            return None
        milestone = request.env["sale.milestone"].browse(milestone_id)
        milestone_sudo = milestone.with_user(SUPERUSER_ID).exists()
        if not milestone_sudo:
            return None
        user = request.env.user
        if not user._is_public() and milestone.has_access("read"):
            own = milestone_sudo._get_recipient(user.partner_id)
            return MilestoneAccess(milestone_sudo, own)
        holder, is_good_link = milestone_sudo._find_recipient(self._read_id(recipient_id), token)
        link = {"recipient": recipient_id, "token": token}
        return MilestoneAccess(milestone_sudo, holder, link, is_good_link) if holder else None

    def _read_id(self, value):
        text = str(value or "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0

    def _is_person_looking(self):
        """Whether a browser shows the page to somebody: previews, prefetches and scanners do not count."""
        headers = request.httprequest.headers
        return (
            request.httprequest.method == "GET"
            and headers.get("Odoo-Link-Preview") != "True"
            and "prefetch" not in headers.get("Sec-Purpose", headers.get("Purpose", ""))
            and headers.get("Sec-Fetch-Dest", "document") == "document"
            and headers.get("User-Agent", "").startswith("Mozilla/")
        )

    def _prepare_milestone_page_values(self, access, message=None):
        milestone, recipient = access.milestone, access.recipient
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "milestone",
            "milestone": milestone,
            "object": milestone,
            "access": access,
            "recipient": recipient,
            "approval": milestone.approval_id,
            "rounds": milestone._get_portal_rounds(),
            "can_decide": access.can_decide(),
            "message": message if message in PAGE_MESSAGES else None,
            "res_company": milestone.company_id,
            "backend_url": f"/odoo/sale.milestone/{milestone.id}",
        }
        if values["can_decide"]:
            values["approve_url"] = access.get_url(
                "/approve", snapshot=milestone.approval_id.snapshot_hash, lang=request.env.lang
            )
            values["consent"] = milestone.with_context(lang=request.env.lang)._get_consent()
        if not access.link:
            values.update(self._prepare_milestone_pager(milestone))
        elif access.is_own():
            # the personal token also is what the discussion knows its holder by
            personal = recipient._get_token()
            values.update(token=personal, hash=personal, pid=recipient.partner_id.id)
        else:
            values["disable_composer"] = True
        return values

    def _prepare_milestone_pager(self, milestone):
        history = request.session.get("my_milestones_history", [])
        if milestone.id not in history:
            return {}
        index = history.index(milestone.id)
        urls = [f"/my/milestones/{known}" for known in history]
        return {
            "prev_record": urls[index - 1] if index else False,
            "next_record": urls[index + 1] if index + 1 < len(urls) else False,
        }

    def _render_dead_link(self, access):
        """Show that a link does not open the milestone any more, and nothing of the milestone itself."""
        values = {
            "access": access,
            "approval": access.recipient.approval_id,
            "res_company": access.milestone.company_id,
        }
        if access.is_over():
            return self._render_private("milestone_billing.portal_milestone_review_over", values)
        return self._render_private("milestone_billing.portal_milestone_dead_link", values, status=410)

    def _render_private(self, template, values, status=200):
        values = {"html_data": self._get_html_data(), **values}
        response = request.render(template, values, status=status)
        response.headers.update(PRIVATE_HEADERS)
        return response

    @http.route(["/my/milestones/<int:milestone_id>/link"], type="http", auth="public", methods=["POST"], website=True)
    def portal_milestone_new_link(self, milestone_id, recipient=None, token=None, **_kwargs):
        """Ask for a new link instead of a dead one; it goes to the address we know, whoever asks."""
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access or not access.recipient:
            return request.redirect("/my")
        access.recipient._request_new_link()
        values = {"access": access, "res_company": access.milestone.company_id, "requested": True}
        return self._render_private("milestone_billing.portal_milestone_dead_link", values)
