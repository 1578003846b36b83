from odoo import models


class SaleOrder(models.Model):
    """The project in which milestones are delivered."""

    _inherit = "sale.order"

    def _link_project_milestones(self):
        """Link each milestone to a project milestone, in the order's project; those whose turn it is get tasks."""
        # follows from a confirmation or an applied change, which were checked: those people may not write projects
        for order in self.sudo():
            milestones = order.milestone_ids.filtered(
                lambda milestone: not milestone.project_milestone_id and milestone.state != "cancelled"
            )
            by_project = milestones.grouped(lambda milestone, order=order: order._get_milestone_project(milestone))
            for project, project_milestones in by_project.items():
                if project:
                    project._link_billing_milestones(project_milestones)
            order._create_current_tasks()

    def _get_milestone_project(self, milestone):
        """Return the project of a milestone: of its lines, of the order, or a new one (may be empty)."""
        self.ensure_one()
        lines = milestone.order_line_ids
        project = (lines.project_id or lines.product_id.with_company(self.company_id).project_id)[:1]
        project = project or self.project_id or self.order_line.project_id[:1]
        if not project and self.milestone_create_project:
            project = self._create_milestone_project()
            self.project_id = project
        return project
