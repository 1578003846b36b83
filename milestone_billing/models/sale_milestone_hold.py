from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from .sale_milestone_billing import INVOICING_GROUP
from .sale_milestone_screen import INTERNAL

HOLD_GROUPS = (INVOICING_GROUP, "sales_team.group_sale_manager", "project.group_project_manager")


class SaleMilestone(models.Model):
    """Hold: a milestone that must not be billed for now, why, and by whose word."""

    _inherit = "sale.milestone"

    hold_reason = fields.Text(string="Reason of the Hold", readonly=True, copy=False, groups=INTERNAL)
    held_by_id = fields.Many2one("res.users", readonly=True, copy=False, groups=INTERNAL)
    held_on = fields.Datetime(readonly=True, copy=False, groups=INTERNAL)

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"hold_reason", "held_by_id", "held_on"}

    def action_hold(self, reason=None):
        """Keep milestones from being invoiced for now: no new invoice, and no posting of a draft.

        :param str reason: why; without it a dialog asks for it
        :raises AccessError: for others than invoicing users and managers of sales or projects
        :raises UserError: for cancelled milestones, and for those with a posted invoice
        """
        self._check_can_hold()
        for milestone in self:
            milestone._check_holdable()
        reason = (reason or "").strip()
        if not reason:
            return self._open_reason_dialog("hold")
        for milestone in self.sudo():
            milestone._write_protected(
                {
                    "on_hold": True,
                    "hold_reason": reason,
                    "held_by_id": self.env.uid,
                    "held_on": fields.Datetime.now(),
                }
            )
            milestone._post_review_note(self.env._("Put on hold: %(reason)s", reason=reason))
        return True

    def action_release(self):
        """Lift the hold; what was approved meanwhile goes into the invoice queue.

        :raises AccessError: for others than invoicing users and managers of sales or projects
        """
        self._check_can_hold()
        held = self.sudo().filtered("on_hold")
        for milestone in held:
            milestone._post_review_note(
                self.env._("Hold lifted. The reason was: %(reason)s", reason=milestone.hold_reason or "")
            )
        held._write_protected({"on_hold": False, "hold_reason": False, "held_by_id": False, "held_on": False})
        held.filtered(lambda milestone: milestone.billing_state == "to_invoice")._queue_invoice()
        return True

    def _check_can_hold(self):
        if not any(self.env.user.has_group(group) for group in HOLD_GROUPS):
            raise AccessError(
                self.env._(
                    "Only invoicing users and managers of sales or projects hold milestones back from invoicing."
                )
            )
        self.check_access("read")

    def _check_holdable(self):
        self.ensure_one()
        if self.state == "cancelled":
            raise UserError(
                self.env._("%(milestone)s is cancelled: there is nothing to hold back.", milestone=self.display_name)
            )
        if self.billing_state in ("invoiced", "partial", "paid"):
            raise UserError(
                self.env._(
                    "%(milestone)s is invoiced: a hold would change nothing. Credit the invoice to take it back.",
                    milestone=self.display_name,
                )
            )

    def _check_not_on_hold(self):
        """:raises UserError: naming the first milestone on hold, and why it is held"""
        for milestone in self.sudo().filtered("on_hold"):
            raise UserError(
                self.env._(
                    "%(milestone)s of %(order)s is on hold: %(reason)s\n"
                    "Lift the hold, or take the milestone off the invoice.",
                    milestone=milestone.display_name,
                    order=milestone.order_id.name,
                    reason=milestone.hold_reason or self.env._("no reason was given"),
                )
            )
