from odoo import http
from odoo.exceptions import AccessError, MissingError
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal

from .portal_subject import MAX_ID, PRIVATE_HEADERS


class ContractPortal(CustomerPortal):
    """The signed contract opens to whom its order opens: with its link, or a login."""

    @http.route(["/my/orders/<int:order_id>/signed_contract"], type="http", auth="public", website=True)
    def portal_signed_contract(self, order_id, access_token=None, **_kwargs):
        try:
            order_sudo = self._document_check_access("sale.order", min(order_id, MAX_ID), access_token)
        except (AccessError, MissingError):
            return request.redirect("/my")
        document = order_sudo.signed_document_id
        if not document:
            return request.redirect(order_sudo.get_portal_url() if access_token else order_sudo.access_url)
        response = request.env["ir.binary"].sudo()._get_stream_from(document).get_response(as_attachment=True)
        response.headers.update(PRIVATE_HEADERS)
        return response
