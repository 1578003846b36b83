from odoo import api, fields, models

from .sale_approval_mixin import REVIEWER_GROUP
from .sale_milestone import MILESTONE_STATES

# What the company says inside is not for clients, who may read their milestones in the portal.
INTERNAL = "base.group_user"


class SaleMilestone(models.Model):
    """What screens say about a milestone beyond its stored fields: who waits for whom, since when."""

    _inherit = "sale.milestone"

    state = fields.Selection(group_expand="_expand_states")
    waiting_since = fields.Datetime(related="approval_id.submitted_on", string="Waiting Since", groups=INTERNAL)
    review_submitted_by_id = fields.Many2one(related="approval_id.submitted_by", string="Submitted By", groups=INTERNAL)
    recipient_ids = fields.One2many(related="approval_id.recipient_ids", string="Asked to Approve", groups=INTERNAL)
    is_review_overdue = fields.Boolean(string="Answer Overdue", compute="_compute_is_review_overdue")
    can_review = fields.Boolean(compute="_compute_can_review")
    can_edit_scope = fields.Boolean(compute="_compute_can_edit")
    can_edit_contract = fields.Boolean(compute="_compute_can_edit")
    has_internal_review = fields.Boolean(related="order_id.milestone_internal_review", string="Reviewed Inside")
    has_client_approval = fields.Boolean(related="order_id.milestone_client_approval", string="Approved by the Client")
    changes_comment = fields.Text(
        string="Changes Asked For", compute="_compute_changes_comment", compute_sudo=True, groups=INTERNAL
    )
    task_count = fields.Integer(string="Tasks", compute="_compute_task_count", compute_sudo=True, groups=INTERNAL)

    @api.model
    def _expand_states(self, states, domain):
        """Columns of the board in the order of the work; the exceptional ones only when needed."""
        names = [name for name, _label in MILESTONE_STATES]
        return [name for name in names if name in states or name not in ("internal_review", "cancelled")]

    @api.depends("state", "review_due_date")
    def _compute_is_review_overdue(self):
        today = fields.Date.context_today(self)
        for milestone in self:
            milestone.is_review_overdue = bool(
                milestone.state == "submitted" and milestone.review_due_date and milestone.review_due_date < today
            )

    @api.depends("state", "approval_ids.decision")
    @api.depends_context("uid")
    def _compute_can_review(self):
        """Four eyes: whoever submitted is not offered to decide."""
        is_reviewer = self.env.user.has_group(REVIEWER_GROUP)
        for milestone in self:
            milestone.can_review = (
                is_reviewer
                and milestone.state == "internal_review"
                and milestone.sudo().review_submitted_by_id != self.env.user
            )

    @api.depends("state", "order_state")
    def _compute_can_edit(self):
        """What is reviewed rests; name and date of a confirmed order are agreed with the client."""
        for milestone in self:
            milestone.can_edit_scope = milestone.state in ("draft", "in_progress", "changes_requested")
            milestone.can_edit_contract = milestone.can_edit_scope and milestone.order_state != "sale"

    @api.depends("state", "approval_ids.comment")
    def _compute_changes_comment(self):
        for milestone in self:
            rejected = milestone.approval_ids.filtered(lambda approval: approval.decision == "changes_requested")
            waiting = milestone.state == "changes_requested"
            milestone.changes_comment = waiting and rejected.sorted("id")[-1:].comment

    @api.depends("project_milestone_id.task_ids")
    def _compute_task_count(self):
        tasks = self.env["project.task"]._read_group(
            [("milestone_id", "in", self.project_milestone_id.ids)], ["milestone_id"], ["__count"]
        )
        counts = {native.id: count for native, count in tasks}
        for milestone in self:
            milestone.task_count = counts.get(milestone.project_milestone_id.id, 0)

    def action_open_plan(self):
        """Open scope and deliverables of a milestone in a dialog, from the plan of its order."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": "sale.milestone",
            "res_id": self.id,
            "views": [(self.env.ref("milestone_billing.sale_milestone_view_form_plan").id, "form")],
            "target": "new",
        }
