from odoo import models


class SaleOrderLine(models.Model):
    """Tasks of shares: where a line cannot be divided exactly, each share is one unit."""

    _inherit = "sale.order.line"

    def _timesheet_create_task_prepare_values(self, project):
        """The task of a share has its part of the hours of the line, and the name of the product."""
        values = super()._timesheet_create_task_prepare_values(project)
        share = self.name.split("\n")[-1]
        if self.milestone_source_id and values["name"].endswith(share):
            product = self.product_id.display_name
            values.update(name=f"{values['name'].removesuffix(share)}{product}", description=share)
        values["allocated_hours"] *= self._get_units_of_share()
        return values

    def _get_units_of_share(self):
        """Return how many units of the divided line one unit of this share stands for."""
        self.ensure_one()
        ordered = (self.milestone_source_id.milestone_source_values or {}).get("product_uom_qty")
        if not ordered or not self.product_uom_qty:
            return 1.0
        shares = self.order_id.order_line.filtered(lambda line: line.milestone_source_id == self.milestone_source_id)
        whole = sum(shares.mapped("price_subtotal"))
        if self.product_uom_id.compare(sum(shares.mapped("product_uom_qty")), ordered) == 0 or not whole:
            return 1.0
        return ordered * self.price_subtotal / whole / self.product_uom_qty
