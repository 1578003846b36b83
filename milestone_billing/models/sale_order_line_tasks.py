from odoo import models


class SaleOrderLine(models.Model):
    """For which lines projects and tasks work, and the tasks of shares.

    Where a line cannot be divided exactly, each share is one unit.
    """

    _inherit = "sale.order.line"

    def _is_worked_for(self):
        """Whether projects and tasks may work for the line: Odoo takes services only, and no expenses."""
        self.ensure_one()
        return self.is_service and not self.is_expense

    def _timesheet_create_project_prepare_values(self):
        """The project of a contract of goods belongs to its order, and works for none of its lines."""
        values = super()._timesheet_create_project_prepare_values()
        return values if self._is_worked_for() else {**values, "sale_line_id": False}

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
