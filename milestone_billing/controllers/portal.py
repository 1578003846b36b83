from odoo import http
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.portal.controllers.portal import pager as portal_pager

from .portal_subject import SubjectPages


class MilestonePortal(SubjectPages):
    """The client's milestones, on the home page of the portal and in a list."""

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
            "order": {"label": self.env._("Order"), "order": "order_id, sequence, id"},
            "date": {"label": self.env._("Contract Date"), "order": "contract_date, id"},
            "name": {"label": self.env._("Name"), "order": "name, id"},
            "state": {"label": self.env._("Status"), "order": "state, id"},
        }

    def _get_milestone_searchbar_filters(self):
        to_approve = request.env["sale.milestone"]._get_to_approve_domain(request.env.user.partner_id)
        return {
            "all": {"label": self.env._("All"), "domain": Domain.TRUE},
            "to_approve": {"label": self.env._("To Approve by You"), "domain": to_approve},
            "waiting": {"label": self.env._("Waiting for Approval"), "domain": Domain("state", "=", "submitted")},
            "approved": {"label": self.env._("Approved"), "domain": Domain("state", "=", "approved")},
            "open": {
                "label": self.env._("Not Approved Yet"),
                "domain": Domain("state", "not in", ("approved", "cancelled")),
            },
        }

    def _get_milestone_searchbar_groupby(self):
        return {
            "none": {"label": self.env._("None"), "order": ""},
            "order": {"label": self.env._("Order"), "order": "order_id, "},
            "state": {"label": self.env._("Status"), "order": "state, "},
        }

    def _get_milestone_searchbar_inputs(self):
        return {
            "all": {"input": "all", "label": self.env._("Search in All")},
            "name": {"input": "name", "label": self.env._("Search in Milestone")},
            "order": {"input": "order", "label": self.env._("Search in Order")},
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
            "html_data": self._get_html_data(),
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
