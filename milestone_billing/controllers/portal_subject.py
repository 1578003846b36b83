from werkzeug.exceptions import NotFound

from odoo import SUPERUSER_ID
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal

from .access import SubjectAccess
from .credentials import read_id

MAX_ID = 2**31 - 1
PAGE_MESSAGES = frozenset(
    {"approved", "changes", "rejected", "changed", "recalled", "decided", "busy", "reason", "failed"}
)
# The address of a page may hold a personal link: it is not passed on, kept or framed anywhere.
PRIVATE_HEADERS = {
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
}


class SubjectPages(CustomerPortal):
    """The page of anything that a client decides on, opened by a personal link or with a login.

    Odoo makes one class of all controllers of the portal: what differs between the subjects is asked of
    their models (``_portal_name``, ``_get_portal_page_values``), never of an attribute of a controller.
    Templates are called after ``_portal_name``.
    """

    def _get_subject_access(self, model, subject_id, recipient_id=None, token=None):
        """Return the :class:`SubjectAccess` of the visitor, or None: nothing tells what exists.

        A login counts for more than a link. The link of somebody else lets its holder read on, as it
        would without login, but not act.
        """
        if not 0 < subject_id <= MAX_ID:
            return None
        subject = request.env[model].browse(subject_id)
        subject_sudo = subject.with_user(SUPERUSER_ID).exists()
        if not subject_sudo:
            return None
        user = request.env.user
        if not user._is_public() and subject.has_access("read"):
            own = subject_sudo._get_recipient(user.partner_id)
            return SubjectAccess(subject_sudo, own)
        holder, is_good_link = subject_sudo._find_recipient(read_id(recipient_id), token)
        link = {"recipient": recipient_id, "token": token}
        return SubjectAccess(subject_sudo, holder, link, is_good_link) if holder else None

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

    # -- the page -----------------------------------------------------------------------------------------

    def _show_subject(self, access, message=None):
        """Return the response to a visitor who opens the page; ``access`` may be None."""
        if not access:
            return request.redirect("/my")
        if access.is_dead():
            return self._render_dead_link(access)
        if access.is_own() and self._is_person_looking():
            access.recipient._note_viewed()
        values = self._prepare_subject_page_values(access, message)
        return self._render_private(f"milestone_billing.portal_{access.subject._portal_name}_page", values)

    def _prepare_subject_page_values(self, access, message=None):
        subject, recipient = access.subject, access.recipient
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": subject._portal_name,
            subject._portal_name: subject,
            "object": subject,
            "access": access,
            "recipient": recipient,
            "approval": subject.approval_id,
            "rounds": subject._get_portal_rounds(),
            "can_decide": access.can_decide(),
            "message": message if message in PAGE_MESSAGES else None,
            "res_company": subject.company_id,
            "backend_url": f"/odoo/{subject._name}/{subject.id}",
            **subject.with_context(lang=request.env.lang)._get_portal_page_values(),
        }
        if values["can_decide"]:
            values["approve_url"] = access.get_url(
                "/approve", snapshot=subject.approval_id.snapshot_hash, lang=request.env.lang
            )
            values["consent"] = subject.with_context(lang=request.env.lang)._get_consent()
        if not access.link:
            values.update(self._prepare_subject_pager(subject))
        elif access.is_own():
            # the personal token also is what the discussion knows its holder by
            personal = recipient._get_token()
            values.update(token=personal, hash=personal, pid=recipient.partner_id.id)
        else:
            values["disable_composer"] = True
        return values

    def _prepare_subject_pager(self, subject):
        history = request.session.get(f"my_{subject._portal_name}s_history", [])
        if subject.id not in history:
            return {}
        index = history.index(subject.id)
        urls = [subject.browse(known).access_url for known in history]
        return {
            "prev_record": urls[index - 1] if index else False,
            "next_record": urls[index + 1] if index + 1 < len(urls) else False,
        }

    def _send_file(self, access, files, attachment_id):
        """Return the response to a visitor who wants one of ``files``, and no other file."""
        if not access:
            return request.redirect("/my")
        if access.is_dead():
            return self._render_dead_link(access)
        attachment = files.filtered(lambda file: file.id == attachment_id and file.type != "url")
        if not attachment:
            raise NotFound()
        stream = request.env["ir.binary"]._get_stream_from(attachment)
        return stream.get_response(as_attachment=True)

    # -- links that died ----------------------------------------------------------------------------------

    def _render_dead_link(self, access):
        """Show that a link does not open the subject any more, and nothing of the subject itself."""
        values = {
            "access": access,
            "approval": access.recipient.approval_id,
            "res_company": access.subject.company_id,
        }
        if access.is_over():
            return self._render_private(f"milestone_billing.portal_{access.subject._portal_name}_review_over", values)
        return self._render_private("milestone_billing.portal_milestone_dead_link", values, status=410)

    def _send_new_link(self, access):
        """Ask for a new link instead of a dead one; it goes to the address we know, whoever asks."""
        if not access or not access.recipient:
            return request.redirect("/my")
        access.recipient._request_new_link()
        values = {"access": access, "res_company": access.subject.company_id, "requested": True}
        return self._render_private("milestone_billing.portal_milestone_dead_link", values)

    def _render_private(self, template, values, status=200):
        values = {"html_data": self._get_html_data(), **values}
        response = request.render(template, values, status=status)
        response.headers.update(PRIVATE_HEADERS)
        return response

    def _get_html_data(self):
        """Return the attributes of the page's root: readers of the page need its language."""
        return {"lang": (request.env.lang or "en_US").replace("_", "-")}
