from odoo import api, fields, models
from odoo.exceptions import UserError


class ProjectMilestone(models.Model):
    """The working side of a billing milestone: tasks and deadline, neither money nor evidence."""

    _inherit = "project.milestone"

    billing_milestone_ids = fields.One2many(
        "sale.milestone", "project_milestone_id", string="Billing Milestones", groups="base.group_user"
    )
    is_billing_milestone = fields.Boolean(
        compute="_compute_is_billing_milestone", compute_sudo=True, export_string_translation=False
    )
    billing_milestone_state = fields.Selection(
        related="billing_milestone_ids.state", string="Approval", groups="base.group_user"
    )

    @api.depends("billing_milestone_ids")
    def _compute_is_billing_milestone(self):
        for milestone in self:
            milestone.is_billing_milestone = bool(milestone.billing_milestone_ids)

    def write(self, vals):
        if "is_reached" in vals:
            self._check_reached_by_approval(vals["is_reached"])
        return super().write(vals)

    def _check_reached_by_approval(self, is_reached):
        """A billing milestone is reached when the client approves it, and not by a tick.

        :raises UserError: when ``is_reached`` says something else than its approval
        """
        self.check_access("write")  # who may not learns nothing of the milestone
        for billing in self.sudo().billing_milestone_ids:
            if bool(is_reached) != (billing.state == "approved"):
                raise UserError(
                    self.env._(
                        "%(milestone)s is a billing milestone: it is reached when it is approved. "
                        "Submit it for approval instead.",
                        milestone=billing.name,
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billing(self):
        linked = self.sudo().billing_milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        if linked:
            raise UserError(
                self.env._(
                    "%(milestones)s: agreed with a client on an order. Cancel the order to end them.",
                    milestones=", ".join(linked.mapped("display_name")),
                )
            )

    def _compute_can_be_marked_as_done(self):
        """No one-click tick in the project's panel for billing milestones."""
        super()._compute_can_be_marked_as_done()
        for milestone in self:
            if milestone.is_billing_milestone:
                milestone.can_be_marked_as_done = False

    def action_view_billing_milestone(self):
        """Open the billing milestone that this project milestone works for."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "sale.milestone",
            "res_id": self.billing_milestone_ids[:1].id,
            "views": [(False, "form")],
        }

    def _get_data(self):
        """Tell the project's panel how far the approval is."""
        data = super()._get_data()
        if self.is_billing_milestone:
            labels = dict(self._fields["billing_milestone_state"]._description_selection(self.env))
            data["billing_milestone_state"] = self.sudo().billing_milestone_state
            data["billing_milestone_label"] = labels.get(data["billing_milestone_state"])
        return data

    @api.model
    def _get_fields_to_export(self):
        return super()._get_fields_to_export() + ["is_billing_milestone"]
