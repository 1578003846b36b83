from odoo import fields, models
from odoo.exceptions import UserError


class ProjectProject(models.Model):
    """The kickoff in the project: for managers of projects who may not read orders."""

    _inherit = "project.project"

    milestone_checklist = fields.Html(
        string="Kickoff",
        compute="_compute_milestone_checklist",
        sanitize=False,
        groups="project.group_project_user",
        export_string_translation=False,
    )

    def _compute_milestone_checklist(self):
        for project in self:
            order = project._get_milestone_order()
            project.milestone_checklist = order.sudo()._render_checklist() if order else False

    def action_plan_kickoff(self):
        """Propose the kickoff meeting of the contract that this project works for.

        :raises AccessError: for those who may not deliver its milestones
        :raises UserError: when the project has no milestones
        """
        self.ensure_one()
        return self._get_delivered_order()._get_kickoff_action()

    def action_view_team(self):
        """Open the team of the contract that this project works for."""
        self.ensure_one()
        return self._get_delivered_order()._get_team_action()

    def _get_milestone_order(self):
        """Return the order of the milestones that the user sees in this project, as the superuser (may be empty)."""
        self.ensure_one()
        Milestone = self.env["sale.milestone"]
        if not self.id or not Milestone.has_access("read"):
            return self.env["sale.order"]
        return Milestone.search([("project_id", "=", self.id), ("order_state", "=", "sale")], limit=1).sudo().order_id

    def _get_delivered_order(self):
        self.check_access("read")
        self.env["sale.milestone"].check_access("write")
        order = self._get_milestone_order()
        if not order:
            raise UserError(self.env._("%(project)s has no billing milestones.", project=self.display_name))
        return order

    def _prepare_first_stages(self):
        """Return the values of the stages that Odoo gives to projects of orders."""
        names = [self.env._("To Do"), self.env._("In Progress"), self.env._("Done"), self.env._("Cancelled")]
        return [{"name": name, "sequence": 5 * place, "fold": place == 4} for place, name in enumerate(names, 1)]
