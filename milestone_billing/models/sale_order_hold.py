from odoo import api, fields, models


class SaleOrder(models.Model):
    _inherit = "sale.order"

    milestone_hold_note = fields.Text(
        string="On Hold", compute="_compute_milestone_hold_note", compute_sudo=True, groups="base.group_user"
    )

    @api.depends("milestone_ids.on_hold", "milestone_ids.hold_reason", "milestone_ids.name")
    def _compute_milestone_hold_note(self):
        for order in self:
            held = order.milestone_ids.filtered("on_hold")
            notes = [f"{milestone.name}: {milestone.hold_reason or ''}" for milestone in held]
            order.milestone_hold_note = "\n".join(notes)
