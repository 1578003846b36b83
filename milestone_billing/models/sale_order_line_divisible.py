from odoo import models


class SaleOrderLine(models.Model):
    """Which lines can be divided over milestones, which are assigned whole, and which belong to none; and why."""

    _inherit = "sale.order.line"

    def _is_divided_by_default(self):
        """Goods and other things that are whole are not, and options stay what the client may choose."""
        self.ensure_one()
        return (
            not self.billing_milestone_id
            and (self.milestone_source_id or not self._get_undivisible_reason())
            and not self._is_line_optional()
        )

    def _get_undivisible_reason(self):
        """Return why the line cannot be divided (it may be assigned whole), or False."""
        self.ensure_one()
        if self.milestone_source_id:
            return self.env._("it is divided already; undo that first")
        return self._get_whole_reason()

    def _get_whole_reason(self):
        """Return what makes the line a whole, divided or not, or False."""
        self.ensure_one()
        template = self.product_id.product_tmpl_id
        if self.combo_item_id or self.product_id.type == "combo":
            return self.env._("a combo is sold as a whole; assign it to a milestone")
        if self.is_expense:
            return self.env._("it is an expense, billed at cost")
        if self.product_id.type == "consu":
            return self.env._("goods are delivered whole; assign it to a milestone")
        if (
            self.linked_line_id
            or self.linked_line_ids
            or self._is_delivery()
            or self.product_id.service_tracking in template._service_tracking_blacklist()
        ):
            return self.env._("it belongs to something else that is sold as a whole; assign it to a milestone")
        if self.currency_id.is_zero(self.price_subtotal):
            return self.env._("it has no amount; assign it to a milestone")
        return False

    def _get_unassignable_reason(self, order):
        """Return why the line cannot be put under milestones of ``order`` at all, or False."""
        self.ensure_one()
        if self.order_id != order:
            return self.env._("it belongs to another order")
        if self.display_type:
            return self.env._("it is a section or a note")
        if self.is_downpayment:
            return self.env._("it is a down payment")
        if self.billing_milestone_id:
            return self.env._(
                "it belongs to %(milestone)s; take it out there first", milestone=self.billing_milestone_id.display_name
            )
        return False

    def _get_split_label(self):
        return self.name.split("\n")[0] if self.name else self.display_name
