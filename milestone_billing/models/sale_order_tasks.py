from odoo import api, fields, models

from .sale_milestone_dependencies import SETTLED_STATES
from .sale_milestone_tasks import TASKS_FAILED


class SaleOrder(models.Model):
    """The project of a contract: from which template it is made, and which milestones have their turn."""

    _inherit = "sale.order"

    milestone_project_template_id = fields.Many2one(
        "project.project",
        string="Project Template",
        compute="_compute_milestone_project_template_id",
        store=True,
        readonly=False,
        domain=[("is_template", "=", True)],
        check_company=True,
        groups="base.group_user",
        help="The project that the confirmation makes is made from this template.",
    )

    @api.depends("sale_order_template_id", "company_id")
    def _compute_milestone_project_template_id(self):
        for order in self.filtered(lambda order: order.state in ("draft", "sent")):
            company = order.company_id or self.env.company
            order.milestone_project_template_id = (
                order.sale_order_template_id.sudo().milestone_project_template_id
                or order.milestone_project_template_id
                or company.sudo().milestone_project_template_id
            )

    def _create_milestone_project(self):
        """Make the project of the contract, from the template of the order if there is one."""
        self.ensure_one()
        line = self._get_project_order_line().with_company(self.company_id)
        template = self.milestone_project_template_id.filtered(lambda project: project.active and project.is_template)
        if not template:
            return line._timesheet_create_project()
        values = line._timesheet_create_project_prepare_values()
        values |= {"name": f"{values['name']} - {template.name}", "user_id": template.user_id.id}
        project = template.action_create_from_template(values)
        if not project.type_ids:
            project.type_ids = self.env["project.task.type"].create(project._prepare_first_stages())
        project.task_ids.write({"sale_line_id": project.sale_line_id.id, "partner_id": self.partner_id.id})
        line.project_id = project
        project.reinvoiced_sale_order_id = self
        return project

    def _get_project_order_line(self):
        """Return the line that makes the project: the first service, or the first of all where there is none."""
        self.ensure_one()
        lines = self.milestone_ids.order_line_ids.sorted("sequence")
        return lines.filtered(lambda line: line._is_worked_for())[:1] or lines[:1]

    def _get_current_milestones(self):
        """Return the milestones whose turn it is.

        Without dependencies it is the first one of the plan that is not settled. With them it is every
        milestone that is not settled and follows nothing that is not settled.
        """
        self.ensure_one()
        milestones = self.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id))
        unsettled = milestones.filtered(lambda milestone: milestone.state not in SETTLED_STATES)
        if not milestones.predecessor_ids:
            return unsettled[:1]
        return unsettled.filtered(lambda milestone: not milestone.predecessor_ids & unsettled)

    def _create_current_tasks(self):
        """Make the tasks of the milestones whose turn it is."""
        for order in self.filtered(lambda order: order.state == "sale"):
            order._get_current_milestones()._create_missing_tasks()

    def _report_tasks_failure(self, error):
        """Tell the project manager that the next tasks are missing, and how to make them."""
        self.ensure_one()
        milestones = self._get_current_milestones().filtered("can_create_tasks")
        for milestone in milestones.filtered(lambda milestone: not milestone.activity_search([TASKS_FAILED])):
            user = milestone._get_project_manager()
            milestone = milestone.with_context(lang=user.lang)
            milestone.activity_schedule(
                TASKS_FAILED,
                user_id=user.id or self.env.uid,
                summary=milestone.env._("The tasks of %(milestone)s are missing", milestone=milestone.name),
                note=milestone.env._(
                    "They could not be made: %(error)s Mend that, and choose Create Tasks.", error=str(error)
                ),
            )
