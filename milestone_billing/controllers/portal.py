from typing import Any, NamedTuple
from urllib.parse import urlencode

from werkzeug.exceptions import NotFound

from odoo import SUPERUSER_ID, _, http
from odoo.exceptions import LockError, UserError, ValidationError
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal
from odoo.addons.portal.controllers.portal import pager as portal_pager

from .signature import read_signature

MAX_ID = 2**31 - 1
MAX_NAME = 200
MAX_REASON = 5000
PAGE_MESSAGES = frozenset({"approved", "changes", "changed", "decided", "busy", "reason", "failed"})
# The address of a page may hold a personal link: it is not passed on, kept or framed anywhere.
PRIVATE_HEADERS = {
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
}


class MilestoneAccess(NamedTuple):
    """A milestone that somebody opened, and in whose name."""

    milestone: Any  # sale.milestone, as superuser
    recipient: Any  # sale.approval.recipient who acts, as superuser; empty for mere readers
    link: Any = None  # query of the personal link, as it was given; None with a login
    is_good_link: bool = False

    def is_dead(self):
        return bool(self.link) and not (self.is_good_link and self.recipient._may_open())

    def is_over(self):
        """Whether a link is dead for no other reason than the end of its review."""
        recipient = self.recipient
        return (
            self.is_good_link
            and not recipient.revoked_by_id
            and recipient.approval_id.decision not in ("pending", "approved")
            and recipient.partner_id.active
            and recipient._is_approver()
        )

    def is_own(self):
        """Whether the visitor is the recipient: nobody else's login acts through a personal link."""
        user = request.env.user
        if not self.recipient or user._is_internal():
            return False
        return user._is_public() or user.partner_id == self.recipient.partner_id

    def can_decide(self):
        return self.is_own() and not self.is_dead() and self.recipient._may_decide()

    def get_url(self, suffix="", **query):
        """Return the address of the milestone's page or of a route below it, with the link it was opened by."""
        query = {**(self.link or {}), **query}
        url = f"{self.milestone.access_url}{suffix}"
        return f"{url}?{urlencode(query)}" if query else url


class MilestonePortal(CustomerPortal):
    # -- home and list -----------------------------------------------------------------------------------

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        Milestone = request.env["sale.milestone"]
        partner = request.env.user.partner_id
        readable = Milestone.has_access("read")
        if "milestone_count" in counters:
            domain = self._prepare_milestones_domain(partner)
            values["milestone_count"] = Milestone.search_count(domain, limit=1) if readable else 0
        if "milestone_to_approve_count" in counters:
            domain = Milestone._get_to_approve_domain(partner)
            values["milestone_to_approve_count"] = Milestone.search_count(domain) if readable else 0
        return values

    def _prepare_milestones_domain(self, partner):
        return Domain("partner_id", "child_of", partner.commercial_partner_id.ids) & Domain(
            "order_state", "in", ("sent", "sale")
        )

    def _get_milestone_searchbar_sortings(self):
        return {
            "order": {"label": _("Order"), "order": "order_id desc, sequence, id"},
            "date": {"label": _("Contract Date"), "order": "contract_date, id"},
            "name": {"label": _("Name"), "order": "name, id"},
            "state": {"label": _("Status"), "order": "state, id"},
        }

    def _get_milestone_searchbar_filters(self):
        to_approve = request.env["sale.milestone"]._get_to_approve_domain(request.env.user.partner_id)
        return {
            "all": {"label": _("All"), "domain": Domain.TRUE},
            "to_approve": {"label": _("To Approve by You"), "domain": to_approve},
            "waiting": {"label": _("Waiting for Approval"), "domain": Domain("state", "=", "submitted")},
            "approved": {"label": _("Approved"), "domain": Domain("state", "=", "approved")},
            "open": {"label": _("Not Approved Yet"), "domain": Domain("state", "not in", ("approved", "cancelled"))},
        }

    def _get_milestone_searchbar_groupby(self):
        return {
            "none": {"label": _("None"), "order": ""},
            "order": {"label": _("Order"), "order": "order_id desc, "},
            "state": {"label": _("Status"), "order": "state, "},
        }

    def _get_milestone_searchbar_inputs(self):
        return {
            "all": {"input": "all", "label": _("Search in All")},
            "name": {"input": "name", "label": _("Search in Milestone")},
            "order": {"input": "order", "label": _("Search in Order")},
        }

    def _get_milestone_search_domain(self, search_in, search):
        search = (search or "").replace("\x00", "")
        if not search:
            return Domain.TRUE
        by_field = {
            "name": Domain("name", "ilike", search),
            "order": Domain("order_id.name", "ilike", search) | Domain("order_id.client_order_ref", "ilike", search),
        }
        return by_field.get(search_in) or Domain.OR(by_field.values())

    @http.route(["/my/milestones", "/my/milestones/page/<int:page>"], type="http", auth="user", website=True)
    def portal_my_milestones(
        self, page=1, sortby=None, filterby=None, groupby=None, search=None, search_in=None, **_kwargs
    ):
        values = self._prepare_milestones_values(page, sortby, filterby, groupby, search, search_in)
        return request.render("milestone_billing.portal_my_milestones", values)

    def _prepare_milestones_values(self, page, sortby, filterby, groupby, search, search_in):
        """Return the values of the list; keys of the searchbar that do not exist mean the default."""
        sortings, filters = self._get_milestone_searchbar_sortings(), self._get_milestone_searchbar_filters()
        groupings, inputs = self._get_milestone_searchbar_groupby(), self._get_milestone_searchbar_inputs()
        sortby = sortby if sortby in sortings else "order"
        filterby = filterby if filterby in filters else "all"
        groupby = groupby if groupby in groupings else "none"
        search_in = search_in if search_in in inputs else "all"
        domain = (
            self._prepare_milestones_domain(request.env.user.partner_id)
            & filters[filterby]["domain"]
            & self._get_milestone_search_domain(search_in, search)
        )
        order = groupings[groupby]["order"] + sortings[sortby]["order"]
        url_args = {
            "sortby": sortby,
            "filterby": filterby,
            "groupby": groupby,
            "search_in": search_in,
            "search": search or "",
        }
        milestones, pager = self._search_milestones(domain, order, page, url_args)
        return {
            **self._prepare_portal_layout_values(),
            "page_name": "milestone",
            "default_url": "/my/milestones",
            "pager": pager,
            "milestone_groups": self._group_milestones(milestones, groupby),
            "searchbar_sortings": sortings,
            "searchbar_filters": filters,
            "searchbar_groupby": groupings,
            "searchbar_inputs": inputs,
            "sortby": sortby,
            "filterby": filterby,
            "groupby": groupby,
            "search_in": search_in,
            "search": search,
        }

    def _search_milestones(self, domain, order, page, url_args):
        """Return one page of the milestones that the user may read, as superuser, and the pager."""
        Milestone = request.env["sale.milestone"]
        readable = Milestone.has_access("read")
        pager = portal_pager(
            url="/my/milestones",
            url_args=url_args,
            total=Milestone.search_count(domain) if readable else 0,
            page=page,
            step=self._items_per_page,
        )
        milestones = Milestone
        if readable:
            milestones = Milestone.search(domain, order=order, limit=self._items_per_page, offset=pager["offset"])
        request.session["my_milestones_history"] = milestones.ids[:100]
        # amounts and reviews are for internal groups only: the record rules chose what is shown
        return milestones.sudo(), pager

    def _group_milestones(self, milestones, groupby):
        """Return pairs of a title (or False) and milestones."""
        if groupby == "order":
            return [(order.name, group) for order, group in milestones.grouped("order_id").items()]
        if groupby == "state":
            ranked = milestones.sorted(lambda milestone: milestone._get_portal_state()["rank"])
            return list(ranked.grouped(lambda milestone: milestone._get_portal_state()["label"]).items())
        return [(False, milestones)] if milestones else []

    # -- record page -------------------------------------------------------------------------------------

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
        if access.link and access.is_own():
            # the personal token also is what the discussion knows its holder by
            personal = recipient._get_token()
            values.update(token=personal, hash=personal, pid=recipient.partner_id.id)
        if not access.link:
            values.update(self._prepare_milestone_pager(milestone))
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
        response = request.render(template, values, status=status)
        response.headers.update(PRIVATE_HEADERS)
        return response

    # -- decisions ---------------------------------------------------------------------------------------

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
                "signature": read_signature(signature),
                "consent": access.milestone.with_context(lang=self._read_lang(query.get("lang")))._get_consent(),
            }
            outcome = self._decide(access, evidence, "approve")
        except UserError as error:
            return {"error": str(error)}
        return self._answer(access, outcome)

    @http.route(
        ["/my/milestones/<int:milestone_id>/changes"], type="http", auth="public", methods=["POST"], website=True
    )
    def portal_milestone_changes(
        self, milestone_id, recipient=None, token=None, snapshot=None, reason=None, **_kwargs
    ):
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

    @http.route(["/my/milestones/<int:milestone_id>/link"], type="http", auth="public", methods=["POST"], website=True)
    def portal_milestone_new_link(self, milestone_id, recipient=None, token=None, **_kwargs):
        """Ask for a new link instead of a dead one; it goes to the address we know, whoever asks."""
        access = self._get_milestone_access(milestone_id, recipient, token)
        if not access or not access.recipient:
            return request.redirect("/my")
        access.recipient._request_new_link()
        values = {"access": access, "res_company": access.milestone.company_id, "requested": True}
        return self._render_private("milestone_billing.portal_milestone_dead_link", values)

    def _get_refusal(self, access):
        """Return what to answer somebody who cannot decide, or None."""
        if not access:
            return {"error": _("This link is not valid.")}
        if request.env.user._is_internal():
            return {"error": _("This is a preview. Only the client decides here.")}
        if access.is_dead():
            return self._answer(access, None, error=_("This link is no longer valid."))
        if not access.milestone._has_to_be_approved():
            return self._answer(access, "decided")
        if not access.can_decide():
            names = access.milestone._get_approver_names()
            return {"error": _("Only %(names)s can decide.", names=names)}
        return None

    def _answer(self, access, outcome, error=None):
        """Return the answer to the signature form: to a page that tells how it ended."""
        errors = {
            "decided": _("This milestone does not wait for a decision any more."),
            "changed": _("The milestone changed since you opened it. Please look at the new version."),
            "busy": _("A decision is being recorded at this moment. Please look again."),
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
            raise ValidationError(_("Please sign with your name."))
        return name

    def _read_lang(self, code):
        """Return the language in which the page showed the consent, if it is one of ours."""
        return code if code in dict(request.env["res.lang"].get_installed()) else request.env.lang
