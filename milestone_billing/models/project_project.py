from odoo import api, fields, models
from odoo.exceptions import UserError


class ProjectProject(models.Model):
    _inherit = "project.project"

    billing_milestone_count = fields.Integer(
        compute="_compute_billing_milestone_count",
        compute_sudo=True,
        groups="base.group_user",
        export_string_translation=False,
    )

    def _compute_billing_milestone_count(self):
        milestones = self.env["sale.milestone"]._read_group(
            [("project_id", "in", self.ids)], ["project_id"], ["__count"]
        )
        counts = {project.id: count for project, count in milestones}
        for project in self:
            project.billing_milestone_count = counts.get(project.id, 0)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_milestone_evidence(self):
        milestones = self.env["sale.milestone"].sudo().search([("project_id", "in", self.ids)])
        kept = milestones.filtered(
            lambda milestone: milestone.state != "cancelled" or milestone.approval_ids or milestone.invoice_line_ids
        )
        if kept:
            raise UserError(
                self.env._(
                    "%(milestones)s: agreed with a client, or reviewed, in this project. Archive the project instead.",
                    milestones=", ".join(kept.mapped("display_name")),
                )
            )
        # left to the database, which of two cascades comes first is chance, and one order of them is refused
        milestones._write_protected({"project_milestone_id": False})

    def action_view_billing_milestones(self):
        """Open the billing milestones of this project."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_milestone_action_project")
        return {**action, "domain": [("project_id", "=", self.id)], "context": {"create": False}}

    def _get_stat_buttons(self):
        buttons = super()._get_stat_buttons()
        if self.env["sale.milestone"].has_access("read"):
            buttons.append(
                {
                    "icon": "flag-checkered",
                    "text": self.env._("Billing Milestones"),
                    "number": self.billing_milestone_count,
                    "action_type": "object",
                    "action": "action_view_billing_milestones",
                    "show": self.billing_milestone_count > 0,
                    "sequence": 26,
                }
            )
        return buttons

    def _link_billing_milestones(self, milestones):
        """Make one project milestone per billing milestone; their tasks come with their turn.

        :param milestones: ``sale.milestone`` records of confirmed orders that have none yet
        """
        self.ensure_one()
        if not self.allow_milestones:
            self.allow_milestones = True
        natives = self.env["project.milestone"].create(
            [
                {
                    "project_id": self.id,
                    "name": milestone.name,
                    "deadline": milestone.contract_date,
                    "sequence": milestone.sequence,
                    "sale_line_id": False,
                }
                for milestone in milestones
            ]
        )
        for milestone, native in zip(milestones, natives, strict=True):
            milestone._write_protected({"project_milestone_id": native.id})

    def _create_deliverable_tasks(self, deliverables, deadlines):
        """Make a task for each deliverable.

        :param deadlines: datetime (UTC) or False per deliverable
        """
        self.ensure_one()
        tasks = self.env["project.task"].create(
            [
                {
                    "name": deliverable.name,
                    "project_id": self.id,
                    "milestone_id": deliverable.milestone_id.project_milestone_id.id,
                    "partner_id": deliverable.milestone_id.partner_id.id,
                    "sale_line_id": deliverable.milestone_id._get_task_order_line().id,
                    "date_deadline": deadline,
                    "description": deliverable._get_task_description(),
                    "company_id": self.company_id.id,
                    "user_ids": False,
                }
                for deliverable, deadline in zip(deliverables, deadlines, strict=True)
            ]
        )
        for deliverable, task in zip(deliverables, tasks, strict=True):
            deliverable._write_protected({"task_id": task.id})
