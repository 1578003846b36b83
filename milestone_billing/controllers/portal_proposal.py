from odoo import http
from odoo.exceptions import AccessError, MissingError, ValidationError
from odoo.http import request

from odoo.addons.portal.utils import get_portal_partner
from odoo.addons.sale.controllers.portal import CustomerPortal, PaymentPortal

from ..models.sale_order_proposal import KnownRevisions
from .portal_subject import MAX_ID, PRIVATE_HEADERS
from .portal_subject_decision import MAX_REASON

MESSAGES = frozenset({"modifications", "modifications_text", "modifications_closed", "modifications_preview"})


class ProposalPortal(CustomerPortal):
    """The client's page of a quotation: its revisions, what changed, and what the client wants changed.

    Every page opens to whom the quotation opens: with its link, or a login.
    """

    def _get_order(self, order_id, access_token=None):
        """Return the order as superuser, or None: nothing tells what exists."""
        try:
            return self._document_check_access("sale.order", min(order_id, MAX_ID), access_token=access_token)
        except (AccessError, MissingError):
            return None

    # -- the page of the quotation -----------------------------------------------------------------------

    @http.route()
    def portal_order_page(self, order_id, report_type=None, access_token=None, revision=None, **kwargs):
        order_sudo = self._get_order(order_id, access_token)
        if order_sudo:
            known = KnownRevisions({order_sudo.id: order_sudo._get_current_revision().ids})
            request.update_context(proposal_known_revisions=known)
        is_revised = bool(order_sudo) and order_sudo._is_being_revised()
        if is_revised:
            kwargs["payment_amount"] = None  # no link pays what is being changed
            if report_type in ("html", "pdf", "text") and not request.env.user._is_internal():
                # what the client has is the revision that was sent, not work in progress
                return self._send_document(order_sudo._get_last_revision(), kwargs.get("download"))
        response = super().portal_order_page(
            order_id, report_type=report_type, access_token=access_token, revision=revision, **kwargs
        )
        if order_sudo and getattr(response, "is_qweb", False):
            person = self._get_signed_partner(order_sudo, kwargs.get("pid"), kwargs.get("hash"))
            response.qcontext.update(self._prepare_proposal_page_values(order_sudo, revision, is_revised, person))
        return response

    @http.route()
    def portal_my_sale_order_download_edi(self, order_id=None, access_token=None, **kwargs):
        order_sudo = self._get_order(order_id, access_token)
        if order_sudo and order_sudo._is_being_revised():
            return request.redirect(order_sudo.get_portal_url())
        return super().portal_my_sale_order_download_edi(order_id=order_id, access_token=access_token, **kwargs)

    def _prepare_proposal_page_values(self, order_sudo, revision, is_revised, person):
        revisions = order_sudo.revision_ids.sorted("number", reverse=True)
        asked = revisions.filtered(lambda known: str(known.number) == str(revision or ""))
        can_ask = order_sudo._can_ask_for_modifications()
        return {
            "proposal_revisions": revisions,
            "proposal_last": revisions[:1],
            "proposal_outdated": asked if asked != revisions[:1] else asked.browse(),
            "proposal_is_revised": is_revised,
            "proposal_can_ask": can_ask,
            "discussion_counts": order_sudo._count_discussions() if can_ask else None,
            "discussion_partner": person,
        }

    @http.route()
    def portal_quote_accept(self, order_id, access_token=None, name=None, signature=None):
        access_token = access_token or request.httprequest.args.get("access_token")
        order_sudo = self._get_order(order_id, access_token)
        refusal = self._get_revision_refusal(order_sudo)
        if refusal:
            return {"error": refusal}
        return super().portal_quote_accept(order_id, access_token=access_token, name=name, signature=signature)

    def _get_revision_refusal(self, order_sudo):
        """Return why the page that asks shows nothing that can be signed or paid, or None."""
        if not order_sudo:
            return None
        order_sudo.lock_for_update(allow_referencing=True)
        shown = request.httprequest.args
        if order_sudo._is_latest_revision(shown.get("revision_hash")) and order_sudo._is_shown_content(
            shown.get("content_hash")
        ):
            return self._get_acceptance_refusal(order_sudo)
        if order_sudo._is_being_revised():
            return self.env._(
                "This proposal is being revised. You will get revision %s by e-mail; nothing was signed or paid.",
                order_sudo._get_shown_revision(),
            )
        return self.env._(
            "There is a newer version of this proposal. Load the page again and look at it; nothing was signed or paid."
        )

    def _get_acceptance_refusal(self, order_sudo):
        """Return why nobody can accept the plan, or None; its reason is for those who mend it."""
        if order_sudo.state not in ("draft", "sent") or not order_sudo._get_plan_error():
            return None
        return self.env._(
            "%(order)s cannot be accepted yet: its payment plan has to be corrected. Nothing was signed or paid. "
            "Please ask %(company)s to send it again.",
            order=order_sudo.name,
            company=order_sudo.company_id.name,
        )

    def _get_payment_values(self, order_sudo, *args, **kwargs):
        values = super()._get_payment_values(order_sudo, *args, **kwargs)
        query = order_sudo._get_revision_query()
        if query and order_sudo.state in ("draft", "sent"):
            values["transaction_route"] = order_sudo.get_portal_url(suffix="/transaction", query_string=query)
        return values

    # -- negotiation -------------------------------------------------------------------------------------

    @http.route(["/my/orders/<int:order_id>/modifications"], type="http", auth="public", methods=["POST"], website=True)
    def portal_ask_for_modifications(self, order_id, access_token=None, text=None, pid=None, hash=None, **_kwargs):
        """Ask for modifications of a quotation that can still be signed, in words."""
        order_sudo = self._get_order(order_id, access_token)
        if not order_sudo:
            return request.redirect("/my")
        message = self._ask_for_modifications(order_sudo, access_token, text, pid, hash)
        query = f"&message={message}" + (
            f"&pid={int(pid)}&hash={hash}" if self._is_signed(order_sudo, pid, hash) else ""
        )
        return request.redirect(order_sudo.get_portal_url(query_string=query))

    def _ask_for_modifications(self, order_sudo, access_token, text, pid, hash):
        """Record what the client asks for; return what the page tells then."""
        if request.env.user._is_internal():
            return "modifications_preview"
        if not order_sudo._can_ask_for_modifications():
            return "modifications_closed"
        text = (text or "").replace("\x00", "").strip()
        if not text or len(text) > MAX_REASON:
            return "modifications_text"
        order_sudo._ask_for_modifications(text, self._get_author(order_sudo, pid, hash))
        return "modifications"

    def _is_signed(self, order_sudo, pid, hash):
        return bool(self._get_signed_partner(order_sudo, pid, hash))

    def _get_signed_partner(self, order_sudo, pid, hash):
        """Return the person whose link this is: the mail of a quotation names its reader (may be empty)."""
        if not str(pid or "").isdecimal() or len(str(pid)) > 10 or not isinstance(hash, str) or not hash.isascii():
            return request.env["res.partner"]
        return get_portal_partner(order_sudo, hash, pid, None)

    def _get_author(self, order_sudo, pid, hash):
        user = request.env.user
        if not user._is_public():
            return user.partner_id
        return self._get_signed_partner(order_sudo, pid, hash) or order_sudo.partner_id

    # -- revisions ---------------------------------------------------------------------------------------

    @http.route(["/my/orders/<int:order_id>/revisions/<int:number>"], type="http", auth="public", website=True)
    def portal_revision(self, order_id, number, access_token=None, report_type=None, download=None, **_kwargs):
        """Show a revision as it was sent, or its PDF."""
        order_sudo = self._get_order(order_id, access_token)
        revision = order_sudo and order_sudo.revision_ids.filtered(lambda known: known.number == number)
        if not revision:
            return request.redirect("/my")
        if report_type == "pdf":
            return self._send_document(revision, download)
        return self._render_proposal_page(
            "milestone_billing.portal_revision_page", order_sudo, {"revision": revision, "title": revision.display_name}
        )

    def _send_document(self, revision, download=None):
        if not revision.document_id:
            order_sudo = revision.order_id
            return request.redirect(order_sudo.get_portal_url(suffix=f"/revisions/{revision.number}"))
        stream = request.env["ir.binary"].sudo()._get_stream_from(revision.document_id)
        response = stream.get_response(as_attachment=bool(download))
        response.headers.update(PRIVATE_HEADERS)
        return response

    @http.route(["/my/orders/<int:order_id>/changes"], type="http", auth="public", website=True)
    def portal_proposal_changes(self, order_id, access_token=None, since=None, until=None, **_kwargs):
        """Show what changed between two revisions: since one, until the last one or another."""
        order_sudo = self._get_order(order_id, access_token)
        revisions = order_sudo.revision_ids.sorted("number") if order_sudo else None
        if not revisions:
            return request.redirect("/my")
        by_number = {str(revision.number): revision for revision in revisions}
        after = by_number.get(str(until), revisions[-1])
        before = by_number.get(str(since), revisions.filtered(lambda other: other.number < after.number)[-1:] or after)
        values = {"revisions": revisions, "before": before, "after": after, "rows": after._describe_changes(before)}
        return self._render_proposal_page("milestone_billing.portal_changes_page", order_sudo, values)

    def _render_proposal_page(self, template, order_sudo, values):
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "proposal",
            "order": order_sudo,
            "res_company": order_sudo.company_id,
            "order_url": order_sudo.get_portal_url(),
            **values,
        }
        response = request.render(template, values)
        response.headers.update(PRIVATE_HEADERS)
        return response


class ProposalPayment(PaymentPortal):
    """Only the latest revision of a proposal is paid."""

    @http.route()
    def portal_order_transaction(self, order_id, access_token, **kwargs):
        portal = ProposalPortal()
        refusal = portal._get_revision_refusal(portal._get_order(order_id, access_token))
        if refusal:
            raise ValidationError(refusal)
        return super().portal_order_transaction(order_id, access_token, **kwargs)
