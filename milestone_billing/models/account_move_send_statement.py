from odoo import api, models


class AccountMoveSend(models.AbstractModel):
    """The statement goes along with the mail of its invoice; Odoo renders it when it makes the mail."""

    _inherit = "account.move.send"

    @api.model
    def _get_placeholder_mail_template_dynamic_attachments_data(self, move, mail_template, pdf_report=None):
        data = super()._get_placeholder_mail_template_dynamic_attachments_data(
            move, mail_template, pdf_report=pdf_report
        )
        report = self.env.ref("milestone_billing.action_report_statement").sudo()
        if not move._is_statement_attached() or report.report_name in [part.get("dynamic_report") for part in data]:
            return data
        name = move.with_context(lang=move.partner_id.lang)._get_statement_filename()
        return [
            *data,
            {
                "id": f"placeholder_{name}",
                "name": name,
                "mimetype": "application/pdf",
                "placeholder": True,
                "dynamic_report": report.report_name,
            },
        ]
