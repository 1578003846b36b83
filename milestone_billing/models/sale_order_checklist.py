from typing import NamedTuple

from odoo import fields, models

from .sale_milestone_dependencies import SETTLED_STATES


class ChecklistItem(NamedTuple):
    """A step of the planning, and whether it is done."""

    label: str
    is_done: bool
    url: str = ""  # where it is done


class SaleOrder(models.Model):
    """What a project manager checks before the work begins."""

    _inherit = "sale.order"

    milestone_checklist = fields.Html(
        string="Checklist",
        compute="_compute_milestone_checklist",
        sanitize=False,
        groups="base.group_user",
        export_string_translation=False,
    )

    def _compute_milestone_checklist(self):
        for order in self:
            begun = order.state == "sale" and order.milestone_ids
            order.milestone_checklist = order.sudo()._render_checklist() if begun else False

    def _render_checklist(self):
        self.ensure_one()
        return self.env["ir.qweb"]._render("milestone_billing.kickoff_checklist", {"items": self._get_checklist()})

    def _get_checklist(self):
        """Return the :class:`ChecklistItem` of this contract, as of now."""
        self.ensure_one()
        order = self.sudo()
        project = order.milestone_ids.project_id[:1]
        tasks = order._get_open_tasks()
        team = order.milestone_contact_ids
        to_project = f"/odoo/project/{project.id}" if project else ""
        to_tasks = f"{to_project}/tasks" if project else ""
        to_order = f"/odoo/sales/{order.id}"
        is_named = order._has_leader() and {"ours", "theirs"} <= set(team.mapped("side"))
        return [
            ChecklistItem(self.env._("Somebody leads the project"), bool(project.user_id), to_project or to_order),
            ChecklistItem(
                self.env._("Each task has an assignee"), bool(tasks) and all(task.user_ids for task in tasks), to_tasks
            ),
            ChecklistItem(
                self.env._("Each task has a deadline, no later than the contract date"),
                bool(tasks) and all(order._is_in_time(task) for task in tasks),
                to_tasks,
            ),
            ChecklistItem(
                self.env._("The team is complete, each with an e-mail address"), is_named and all(team.mapped("email"))
            ),
            ChecklistItem(self.env._("The kickoff meeting is planned"), bool(order._get_kickoff())),
            ChecklistItem(self.env._("The client was welcomed"), bool(order.milestone_welcomed_on)),
            ChecklistItem(
                self.env._("Each approver can open the portal: the address for personal links is known"),
                bool(order.milestone_approver_ids) and all(order.milestone_approver_ids.mapped("email")),
            ),
            ChecklistItem(
                self.env._("The rhythm of status updates is agreed, and who gets them"),
                order.milestone_update_rhythm == "none" or any(team.mapped("receives_updates")),
            ),
        ]

    def _get_open_tasks(self):
        """Return the open tasks of the deliverables whose milestones are not settled."""
        milestones = self.milestone_ids.filtered(lambda milestone: milestone.state not in SETTLED_STATES)
        return milestones.deliverable_ids.task_id.filtered(lambda task: not task.is_closed)

    def _is_in_time(self, task):
        due = task.milestone_id.deadline
        return bool(task.date_deadline) and (not due or task.date_deadline.date() <= due)
