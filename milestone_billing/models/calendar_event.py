from odoo import api, fields, models
from odoo.exceptions import AccessError


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

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if values.get("kickoff_order_id"):  # a form would show which order that is
            self.new({"kickoff_order_id": values["kickoff_order_id"]})._check_kickoff_order()
        return values

    @api.model_create_multi
    def create(self, vals_list):
        events = super().create(vals_list)
        events._check_kickoff_order()
        return events

    def write(self, vals):
        if "kickoff_order_id" not in vals:
            return super().write(vals)
        order_id = vals["kickoff_order_id"] or False
        changed = self.filtered(lambda event: event.sudo().kickoff_order_id.id != order_id)
        changed._check_kickoff_order()
        result = super().write(vals)
        changed._check_kickoff_order()
        return result

    def _check_kickoff_order(self):
        """A meeting becomes the kickoff of an order through those who plan its kickoff, and nobody else.

        They may change the order, or deliver its milestones in a project that they may read.

        :raises AccessError: for others
        """
        # the field is for employees, and others have meetings too: what they may do is asked of the order
        orders = self.sudo().kickoff_order_id.with_env(self.env)
        if not all(order._may_plan_kickoff() for order in orders):
            raise AccessError(
                self.env._("You may not plan the kickoff of this order. Ask its salesperson or project manager to.")
            )


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _may_plan_kickoff(self):
        self.ensure_one()
        if self.env.su or self.has_access("write"):
            return True
        Milestone = self.env["sale.milestone"]
        return Milestone.has_access("write") and bool(Milestone.search_count([("order_id", "=", self.id)], limit=1))
