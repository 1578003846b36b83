from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import plaintext2html

from .agreed_change import AgreedChange


class SaleMilestoneDeliverable(models.Model):
    """A work product that the client accepts, with the criteria it has to meet."""

    _name = "sale.milestone.deliverable"
    _description = "Milestone Deliverable"
    _inherit = ["sale.milestone.protected.mixin", "sale.milestone.files.mixin"]
    _order = "milestone_id, sequence, id"

    _protected_fields = frozenset({"state", "task_id", "company_id", "order_id"})

    milestone_id = fields.Many2one("sale.milestone", required=True, index=True, ondelete="cascade")
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Deliverable", required=True)
    acceptance_criteria = fields.Text()
    state = fields.Selection(
        [("pending", "Pending"), ("accepted", "Accepted")], default="pending", required=True, readonly=True, copy=False
    )
    attachment_ids = fields.Many2many("ir.attachment", string="Files", copy=False, bypass_search_access=True)
    url = fields.Char(string="Link", copy=False, help="Where the work can be seen: http or https.")
    task_id = fields.Many2one("project.task", readonly=True, copy=False, index="btree_not_null", ondelete="set null")
    company_id = fields.Many2one(related="milestone_id.company_id", store=True)
    order_id = fields.Many2one(related="milestone_id.order_id", store=True)
    has_evidence = fields.Boolean(
        string="Work Shown",
        compute="_compute_has_evidence",
        help="There is a file, a link or a finished task to review.",
    )

    @api.depends("attachment_ids", "url", "task_id.state")
    def _compute_has_evidence(self):
        for deliverable in self:
            task = deliverable.task_id.sudo()
            deliverable.has_evidence = bool(
                deliverable.attachment_ids or deliverable.url or (task and task.state == "1_done")
            )

    @api.constrains("url")
    def _check_url(self):
        for deliverable in self.filtered("url"):
            try:
                parts = urlsplit(deliverable.url.strip())
            except ValueError:
                parts = None
            if not parts or parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValidationError(
                    self.env._(
                        "The link of %(deliverable)s must be a web address that starts with https:// or http://.",
                        deliverable=deliverable.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        deliverables = super().create(vals_list)
        deliverables.milestone_id._check_scope_free()
        deliverables._own_attachments()
        deliverables._create_tasks_of_running_work()
        return deliverables

    def write(self, vals):
        if set(vals) - {"sequence"}:
            self.milestone_id._check_scope_free()
        if "milestone_id" in vals:
            self._check_same_order(vals["milestone_id"])
        known = self.attachment_ids
        result = super().write(vals)
        if "attachment_ids" in vals:
            self._own_attachments(known)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_reviewed(self):
        self.milestone_id._check_scope_free()
        if AgreedChange.is_under_way(self.env):
            return
        if self.milestone_id.filtered(lambda milestone: milestone.order_state == "sale"):
            raise UserError(
                self.env._(
                    "Deliverables of a confirmed order are agreed with the client and cannot be deleted. "
                    "Raise a change request."
                )
            )

    def _check_same_order(self, milestone_id):
        """:raises UserError: when a deliverable would leave its order, or reach a milestone under review"""
        milestone = self.env["sale.milestone"].browse(milestone_id)
        milestone._check_scope_free()
        if any(deliverable.order_id != milestone.order_id for deliverable in self):
            raise UserError(self.env._("A deliverable can only move between milestones of one order."))

    def _prepare_snapshot_values(self):
        """Return what the client sees of the deliverables, for the snapshot of a review."""
        return [
            {
                "id": deliverable.id,
                "name": deliverable.name,
                "acceptance_criteria": deliverable.acceptance_criteria or "",
                "url": deliverable.url or "",
                "files": [
                    {
                        "id": attachment.id,
                        "name": attachment.name,
                        "checksum": attachment.checksum or "",
                        "size": attachment.file_size,
                    }
                    for attachment in deliverable.sudo().attachment_ids.sorted("id")
                ],
            }
            for deliverable in self
        ]

    def _create_tasks_of_running_work(self):
        """Deliverables that come later get their task with the others, if those have theirs or it is their turn."""
        for milestone in self.milestone_id.sudo().filtered(lambda milestone: milestone.order_state == "sale"):
            if milestone.deliverable_ids.task_id or milestone in milestone.order_id._get_current_milestones():
                milestone._create_missing_tasks()

    def _get_task_description(self):
        """Return the acceptance criteria as the description of the task, or False."""
        self.ensure_one()
        return plaintext2html(self.acceptance_criteria) if self.acceptance_criteria else False
