from odoo import api, fields, models
from odoo.exceptions import UserError

from .sale_milestone import AMOUNT_GROUPS


class SaleOrder(models.Model):
    """A plan that cannot be agreed on as it is: salespeople learn it before they send it, not the client who signs."""

    _inherit = "sale.order"

    milestone_plan_error = fields.Text(
        compute="_compute_milestone_plan_error",
        compute_sudo=True,
        groups=AMOUNT_GROUPS,
        help="Why the client could not accept the quotation as it was saved.",
    )

    @api.depends("state", "order_line", "milestone_ids", "amount_total")
    @api.depends_context("lang")
    def _compute_milestone_plan_error(self):
        for order in self:
            saved = order._origin  # what is being typed has no amounts yet
            order.milestone_plan_error = saved.state in ("draft", "sent") and saved._get_plan_error()

    def action_quotation_send(self):
        action = super().action_quotation_send()
        self._check_acceptable()
        return action

    def _check_can_send(self):
        super()._check_can_send()
        if not self.env.su:  # a client who pays sends nothing
            self._check_acceptable()

    def _check_acceptable(self):
        """:raises UserError: for a quotation that nobody could accept as it is"""
        for order in self.filtered(lambda order: order.state in ("draft", "sent")):
            if error := order._get_plan_error():
                raise UserError(
                    self.env._(
                        "%(order)s is not sent: the client could not accept it. %(reason)s",
                        order=order.name,
                        reason=error,
                    )
                )

    def _get_acceptance_obstacle(self):
        """Return what keeps the order from being confirmed though the client accepts it, or False."""
        self.ensure_one()
        return self._get_signature_obstacle() or self._get_plan_error()
