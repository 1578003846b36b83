from odoo import fields, models


class CalendarEvent(models.Model):
    _inherit = "calendar.event"

    kickoff_order_id = fields.Many2one(
        "sale.order",
        string="Kickoff Of",
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        groups="base.group_user",
    )
