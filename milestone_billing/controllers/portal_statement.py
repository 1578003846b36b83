from odoo import http
from odoo.exceptions import AccessError, MissingError
from odoo.http import content_disposition, request

from odoo.addons.portal.controllers.portal import CustomerPortal

from .portal_subject import MAX_ID, PRIVATE_HEADERS


class StatementPortal(CustomerPortal):
    """Statements open to whom their invoice or order opens: with its link, or a login."""

    @http.route(["/my/invoices/<int:record_id>/statement"], type="http", auth="public", website=True)
    def portal_invoice_statement(self, record_id, access_token=None, report_type=None, **_kwargs):
        return self._show_statement("account.move", record_id, access_token, report_type)

    @http.route(["/my/orders/<int:record_id>/statement"], type="http", auth="public", website=True)
    def portal_order_statement(self, record_id, access_token=None, report_type=None, **_kwargs):
        return self._show_statement("sale.order", record_id, access_token, report_type)

    def _show_statement(self, model, record_id, access_token, report_type):
        try:
            record_sudo = self._document_check_access(model, min(record_id, MAX_ID), access_token)
        except (AccessError, MissingError):
            return request.redirect("/my")
        if not record_sudo._has_statement():
            return request.redirect(record_sudo.get_portal_url() if access_token else record_sudo.access_url)
        if report_type == "pdf":
            response = self._make_statement_pdf(record_sudo)
        else:
            values = self._prepare_statement_page_values(record_sudo, access_token)
            response = request.render("milestone_billing.portal_statement_page", values)
        response.headers.update(PRIVATE_HEADERS)
        return response

    def _make_statement_pdf(self, record_sudo):
        is_order = record_sudo._name == "sale.order"
        report = "action_report_order_statement" if is_order else "action_report_statement"
        Report = request.env["ir.actions.report"].sudo().with_company(record_sudo.company_id)
        content = Report._render_qweb_pdf(f"milestone_billing.{report}", record_sudo.ids)[0]
        filename = f"{self.env._('Statement')} {record_sudo.name}.pdf".replace("/", "_")
        headers = {"Content-Type": "application/pdf", "Content-Disposition": content_disposition(filename)}
        return request.make_response(content, headers=list(headers.items()))

    def _prepare_statement_page_values(self, record_sudo, access_token):
        is_order = record_sudo._name == "sale.order"
        values = record_sudo._get_statement_values()
        query = {"suffix": "/statement", "report_type": "pdf"}
        return {
            "page_name": "statement",
            "record": record_sudo,
            "res_company": record_sudo.company_id,
            "document": {} if is_order else values,
            "statements": [values] if is_order else values["statements"],
            "report_type": "html",
            "record_url": record_sudo.get_portal_url() if access_token else record_sudo.access_url,
            "pdf_url": record_sudo.get_portal_url(**query),
        }
