from odoo import http
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.portal.controllers.portal import pager as portal_pager

from .portal_subject import SubjectPages

OPEN_STATES = ("draft", "internal_review", "submitted", "changes_requested")


class ChangeRequestPortal(SubjectPages):
    """The client's change requests, on the home page of the portal and in a list."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        Request = request.env["sale.change.request"]
        partner = request.env.user.partner_id
        readable = Request.has_access("read")
        if "change_request_count" in counters:
            domain = self._prepare_change_requests_domain(partner)
            values["change_request_count"] = Request.search_count(domain, limit=1) if readable else 0
        if "change_request_to_approve_count" in counters:
            domain = Request._get_to_approve_domain(partner)
            values["change_request_to_approve_count"] = Request.search_count(domain) if readable else 0
        return values

    def _prepare_change_requests_domain(self, partner):
        return Domain("partner_id", "child_of", partner.commercial_partner_id.ids)

    def _get_change_request_searchbar_sortings(self):
        return {
            "date": {"label": self.env._("Newest"), "order": "requested_on desc, id desc"},
            "order": {"label": self.env._("Order"), "order": "order_id, number desc, id desc"},
            "title": {"label": self.env._("Title"), "order": "title, id"},
            "state": {"label": self.env._("Status"), "order": "state, id desc"},
        }

    def _get_change_request_searchbar_filters(self):
        to_approve = request.env["sale.change.request"]._get_to_approve_domain(request.env.user.partner_id)
        return {
            "all": {"label": self.env._("All"), "domain": Domain.TRUE},
            "to_approve": {"label": self.env._("To Approve by You"), "domain": to_approve},
            "open": {"label": self.env._("Open"), "domain": Domain("state", "in", OPEN_STATES)},
            "approved": {"label": self.env._("Approved"), "domain": Domain("state", "=", "approved")},
            "ended": {
                "label": self.env._("Rejected or Withdrawn"),
                "domain": Domain("state", "in", ("rejected", "cancelled")),
            },
            "own": {"label": self.env._("Raised by My Company"), "domain": Domain("is_client_request", "=", True)},
        }

    def _get_change_request_search_domain(self, search):
        search = (search or "").replace("\x00", "")
        if not search:
            return Domain.TRUE
        return Domain.OR(Domain(field, "ilike", search) for field in ("name", "title", "order_id.name"))

    @http.route(["/my/change_requests", "/my/change_requests/page/<int:page>"], type="http", auth="user", website=True)
    def portal_my_change_requests(self, page=1, sortby=None, filterby=None, search=None, **_kwargs):
        values = self._prepare_change_requests_values(page, sortby, filterby, search)
        return request.render("milestone_billing.portal_my_change_requests", values)

    def _prepare_change_requests_values(self, page, sortby, filterby, search):
        """Return the values of the list; keys of the searchbar that do not exist mean the default."""
        sortings = self._get_change_request_searchbar_sortings()
        filters = self._get_change_request_searchbar_filters()
        sortby = sortby if sortby in sortings else "date"
        filterby = filterby if filterby in filters else "all"
        domain = (
            self._prepare_change_requests_domain(request.env.user.partner_id)
            & filters[filterby]["domain"]
            & self._get_change_request_search_domain(search)
        )
        url_args = {"sortby": sortby, "filterby": filterby, "search": search or ""}
        requests, pager = self._search_change_requests(domain, sortings[sortby]["order"], page, url_args)
        return {
            **self._prepare_portal_layout_values(),
            "html_data": self._get_html_data(),
            "page_name": "change_request",
            "default_url": "/my/change_requests",
            "pager": pager,
            "change_requests": requests,
            "searchbar_sortings": sortings,
            "searchbar_filters": filters,
            "searchbar_inputs": {"all": {"input": "all", "label": self.env._("Search in All")}},
            "sortby": sortby,
            "filterby": filterby,
            "search_in": "all",
            "search": search,
        }

    def _search_change_requests(self, domain, order, page, url_args):
        """Return one page of the requests that the user may read, as superuser, and the pager."""
        Request = request.env["sale.change.request"]
        readable = Request.has_access("read")
        pager = portal_pager(
            url="/my/change_requests",
            url_args=url_args,
            total=Request.search_count(domain) if readable else 0,
            page=page,
            step=self._items_per_page,
        )
        requests = Request
        if readable:
            requests = Request.search(domain, order=order, limit=self._items_per_page, offset=pager["offset"])
        request.session["my_change_requests_history"] = requests.ids[:100]
        # amounts and reviews are for internal groups only: the record rules chose what is shown
        return requests.sudo(), pager
