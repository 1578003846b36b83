from odoo import http
from odoo.http import request

from .portal_proposal import ProposalPortal


class DiscussionPortal(ProposalPortal):
    """The discussion of a milestone, opened from the page of its quotation."""

    @http.route(["/my/orders/<int:order_id>/milestones/<int:milestone_id>"], type="http", auth="public", website=True)
    def portal_milestone_discussion(self, order_id, milestone_id, access_token=None, pid=None, hash=None, **_kwargs):
        order_sudo = self._get_order(order_id, access_token)
        milestone = order_sudo and order_sudo.milestone_ids.filtered(lambda known: known.id == milestone_id)
        if not milestone:
            return request.redirect("/my")
        if not milestone._is_discussed_as_quotation():
            # an agreed milestone opens by a personal link or with a login only
            return request.redirect(milestone.access_url)
        author = self._get_author(order_sudo, pid, hash)
        values = {
            "milestone": milestone,
            "object": milestone,
            "title": milestone.name,
            "is_revised": order_sudo._is_being_revised(),
            # an internal user looks at a preview, and writes in the backend
            "disable_composer": request.env.user._is_internal(),
            "pid": author.id,
            "hash": milestone._get_discussion_hash(author.id),
            "token": milestone._get_discussion_hash(),
        }
        return self._render_proposal_page("milestone_billing.portal_discussion_page", order_sudo, values)
