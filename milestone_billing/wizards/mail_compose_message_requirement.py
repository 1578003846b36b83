from odoo import api, fields, models


class MailComposeMessage(models.TransientModel):
    """Whoever sends a quotation is warned of musts that nothing meets."""

    _inherit = "mail.compose.message"

    requirement_warning = fields.Text(compute="_compute_requirement_warning", export_string_translation=False)

    @api.depends("model", "res_ids")
    @api.depends_context("mark_so_as_sent")
    def _compute_requirement_warning(self):
        self.requirement_warning = False
        if not self.env.context.get("mark_so_as_sent"):
            return
        for composer in self.filtered(lambda composer: composer.model == "sale.order"):
            orders = self.env["sale.order"].browse(composer._evaluate_res_ids()).exists()._filtered_access("read")
            quotations = orders.sudo().filtered(lambda order: order.state in ("draft", "sent"))
            composer.requirement_warning = "\n".join(
                f"{requirement.name} {requirement.statement}" for requirement in quotations._get_uncovered_musts()
            )
