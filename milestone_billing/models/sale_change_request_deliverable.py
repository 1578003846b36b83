from odoo import api, fields, models
from odoo.exceptions import UserError


class SaleChangeRequestDeliverable(models.Model):
    """What a change request does to the deliverables of a milestone."""

    _name = "sale.change.request.deliverable"
    _description = "Change of a Deliverable"
    _inherit = ["sale.milestone.protected.mixin"]
    _order = "line_id, id"

    _protected_fields = frozenset({"old_name"})

    line_id = fields.Many2one("sale.change.request.line", required=True, index=True, ondelete="cascade")
    action = fields.Selection(
        [("add", "Add"), ("change", "Change"), ("remove", "Remove")], default="add", required=True
    )
    milestone_id = fields.Many2one(related="line_id.milestone_id")
    deliverable_id = fields.Many2one(
        "sale.milestone.deliverable", ondelete="set null", domain="[('milestone_id', '=', milestone_id)]"
    )
    # kept for the record: the deliverable itself may be removed
    old_name = fields.Char(compute="_compute_old_name", store=True)
    name = fields.Char()
    acceptance_criteria = fields.Text()
    summary = fields.Char(compute="_compute_summary")

    @api.depends("deliverable_id", "line_id.milestone_id")
    def _compute_old_name(self):
        for change in self:
            change.old_name = change._get_known_deliverable().name or change.old_name

    def _get_known_deliverable(self):
        """Return the deliverable that changes, if it is one of the milestone, and the user of a form reads it."""
        self.ensure_one()
        deliverable = self.deliverable_id._origin
        if deliverable.milestone_id != self.line_id.milestone_id._origin:
            return deliverable.browse()
        is_readable = bool(self.id) or deliverable.sudo(False).has_access("read")
        return deliverable if is_readable else deliverable.browse()

    def _keep_old_names(self):
        """Name the deliverables as they are called now, for what is presented; the caller checked rights and state."""
        for change in self.filtered("deliverable_id"):
            change._write_protected({"old_name": change.deliverable_id.name})

    @api.model_create_multi
    def create(self, vals_list):
        changes = super().create(vals_list)
        changes.line_id.request_id._check_content_free()
        return changes

    def write(self, vals):
        self.line_id.request_id._check_content_free()
        if "line_id" in vals and any(change.line_id.id != vals["line_id"] for change in self):
            raise UserError(
                self.env._("The change of a deliverable stays with its milestone. Add it there, and remove it here.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_presented(self):
        self.line_id.request_id._check_content_free()

    def _get_problem(self):
        self.ensure_one()
        if self.action == "add":
            return "" if (self.name or "").strip() else self.env._("A new deliverable needs a name.")
        if not self.deliverable_id or self.deliverable_id.milestone_id != self.line_id.milestone_id:
            return self.env._(
                "Say which deliverable of %(milestone)s changes.", milestone=self.line_id.milestone_id.name or ""
            )
        if self.action == "change" and not (self.name or self.acceptance_criteria):
            return self.env._("Say what changes of %(deliverable)s.", deliverable=self.deliverable_id.name)
        return ""

    @api.depends("action", "deliverable_id", "name", "acceptance_criteria")
    @api.depends_context("lang")
    def _compute_summary(self):
        for change in self:
            old, new = change.old_name or "", change.name or ""
            if change.action == "add":
                change.summary = self.env._("New deliverable: %(name)s", name=new)
            elif change.action == "remove":
                change.summary = self.env._("Without the deliverable %(name)s", name=old)
            elif new and new != old:
                change.summary = self.env._("Deliverable %(old)s becomes %(new)s", old=old, new=new)
            else:
                change.summary = self.env._("New acceptance criteria for %(name)s", name=old)

    def _prepare_snapshot_values(self):
        return [
            {
                "action": change.action,
                "deliverable": change.deliverable_id.id,
                "name": change.name or "",
                "acceptance_criteria": change.acceptance_criteria or "",
            }
            for change in self.sorted(lambda change: change.id or 0)
        ]

    def _apply(self, milestone):
        """Make the deliverables of ``milestone`` what was agreed; called by the application of the request."""
        for change in self:
            values = {name: change[name] for name in ("name", "acceptance_criteria") if change[name]}
            if change.action == "add":
                change.line_id._add_deliverable(milestone, **values)
            elif change.action == "change":
                change.deliverable_id.write(values)
            else:
                task = change.deliverable_id.task_id
                change.deliverable_id.unlink()
                if task and task.state != "1_done":
                    task.state = "1_canceled"
