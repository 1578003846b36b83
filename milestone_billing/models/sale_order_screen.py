from odoo import api, fields, models


class SaleOrder(models.Model):
    """What the order form needs to know to offer only what would be accepted."""

    _inherit = "sale.order"

    commercial_client_id = fields.Many2one(
        related="partner_id.commercial_partner_id", string="Client", export_string_translation=False
    )
    can_edit_milestone_policy = fields.Boolean(compute="_compute_can_edit_milestone_policy")

    @api.depends("state")
    @api.depends_context("uid")
    def _compute_can_edit_milestone_policy(self):
        is_manager = self.env.user.has_group("sales_team.group_sale_manager")
        for order in self:
            order.can_edit_milestone_policy = order.state in ("draft", "sent") or (is_manager and order.state == "sale")
