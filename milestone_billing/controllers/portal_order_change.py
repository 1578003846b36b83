from odoo import http
from odoo.exceptions import AccessError, MissingError, UserError, ValidationError
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal

from .portal_subject import MAX_ID, PRIVATE_HEADERS
from .upload import read_files

MAX_TITLE = 150
MAX_NAME = 200
MAX_TEXT = 5000
TEXT_FIELDS = ("title", "category", "urgency", "reason", "description", "milestone_id", "name")


class OrderChangePortal(CustomerPortal):
    """The client asks for a change of a contract: whoever opens its order, with its link or a login."""

    @http.route(
        ["/my/orders/<int:order_id>/change_requests"], type="http", auth="public", methods=["GET", "POST"], website=True
    )
    def portal_order_change_request(self, order_id, access_token=None, **post):
        try:
            order_sudo = self._document_check_access("sale.order", min(order_id, MAX_ID), access_token)
        except (AccessError, MissingError):
            return request.redirect("/my")
        order_url = order_sudo.get_portal_url() if access_token else order_sudo.access_url
        if not order_sudo._can_raise_change():
            return request.redirect(order_url)
        error = None
        if request.httprequest.method == "POST":
            try:
                self._raise_change_request(order_sudo, post)
            except UserError as refusal:
                error = str(refusal)
            else:
                return request.redirect(f"{order_url}{'&' if '?' in order_url else '?'}message=change_raised")
        values = {
            "page_name": "order_change",
            "order": order_sudo,
            "order_url": order_url,
            "form_url": order_sudo.get_portal_url(suffix="/change_requests")
            if access_token
            else f"{order_sudo.access_url}/change_requests",
            "res_company": order_sudo.company_id,
            "error": error,
            "may_raise": self._may_raise(order_sudo),
            "typed": {name: post.get(name) or "" for name in TEXT_FIELDS},
            "milestones": order_sudo._get_live_milestones(),
            "limits": {"title": MAX_TITLE, "name": MAX_NAME, "text": MAX_TEXT},
            **self._get_change_choices(),
        }
        response = request.render("milestone_billing.portal_order_change_request", values)
        response.headers.update(PRIVATE_HEADERS)
        return response

    def _may_raise(self, order_sudo):
        """Whether the visitor is one of the customer's people; employees only see how it looks."""
        user = request.env.user
        if user._is_public():
            return True
        family = order_sudo.partner_id.commercial_partner_id
        return not user._is_internal() and user.partner_id.commercial_partner_id == family

    def _raise_change_request(self, order_sudo, post):
        """:raises UserError: in words for the visitor, when something is missing, too long or refused"""
        if request.env.user._is_internal():
            raise ValidationError(self.env._("This is a preview. Only the client asks for a change here."))
        if not self._may_raise(order_sudo):
            raise ValidationError(self.env._("Only people of the customer ask for a change here."))
        public = request.env.user._is_public()
        values = self._read_change_request(order_sudo, post)
        with request.env.cr.savepoint():
            request.env["sale.change.request"].sudo()._raise_by_client(
                order_sudo,
                values,
                files=read_files(self.env, request.httprequest.files.getlist("files")),
                partner=None if public else request.env.user.partner_id,
                name=self._read_text(post, "name", self.env._("your name"), MAX_NAME) if public else None,
            )

    def _read_change_request(self, order_sudo, post):
        choices = self._get_change_choices()
        category, urgency = post.get("category"), post.get("urgency")
        if category not in dict(choices["categories"]) or urgency not in dict(choices["urgencies"]):
            raise ValidationError(self.env._("Please choose what the change is about, and how urgent it is."))
        chosen = post.get("milestone_id") or ""
        milestone = order_sudo._get_live_milestones().filtered(lambda milestone: str(milestone.id) == chosen)
        if chosen and not milestone:
            raise ValidationError(self.env._("Please choose a milestone of this order."))
        return {
            "title": self._read_text(post, "title", self.env._("what should change"), MAX_TITLE),
            "reason": self._read_text(post, "reason", self.env._("why it should change"), MAX_TEXT, lines=True),
            "description": self._read_text(post, "description", "", MAX_TEXT, lines=True, required=False),
            "category": category,
            "urgency": urgency,
            "milestone": milestone,
        }

    def _read_text(self, post, name, label, limit, lines=False, required=True):
        text = post.get(name)
        text = text.replace("\x00", "").strip() if isinstance(text, str) else ""
        text = text.replace("\r\n", "\n") if lines else " ".join(text.split())
        if required and not text:
            raise ValidationError(self.env._("Please say %(what)s.", what=label))
        if len(text) > limit:
            raise ValidationError(self.env._("Please keep each text below %(limit)s characters.", limit=limit))
        return text

    def _get_change_choices(self):
        fields = request.env["sale.change.request"]._fields
        return {
            "categories": fields["category"]._description_selection(self.env),
            "urgencies": fields["urgency"]._description_selection(self.env),
        }
