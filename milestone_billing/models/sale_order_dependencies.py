from odoo import api, fields, models
from odoo.exceptions import UserError


class SaleOrder(models.Model):
    """Dependencies of the plan: copied, agreed on, and what the order's form says about dates."""

    _inherit = "sale.order"

    milestone_date_warning = fields.Text(
        compute="_compute_milestone_date_notes", compute_sudo=True, groups="base.group_user"
    )
    milestone_shift_offer = fields.Text(
        compute="_compute_milestone_date_notes", compute_sudo=True, groups="base.group_user"
    )

    @api.depends("milestone_ids.date_warning", "milestone_ids.date_shift", "state")
    def _compute_milestone_date_notes(self):
        for order in self:
            warnings = order.milestone_ids.filtered(
                lambda milestone: milestone.date_warning and milestone.state not in ("approved", "cancelled")
            )
            order.milestone_date_warning = "\n".join(warnings.mapped("date_warning"))
            moved = order.milestone_ids.filtered("date_shift")
            order.milestone_shift_offer = order.state in ("draft", "sent") and "\n".join(
                self.env._(
                    "%(milestone)s moved by %(days)s days: %(count)s following milestones kept their dates.",
                    milestone=milestone.name,
                    days=f"{milestone.date_shift:+d}",
                    count=len(milestone._get_followers()),
                )
                for milestone in moved
            )

    def action_shift_milestones(self):
        """Open the dialog that shifts what follows the first milestone whose date moved.

        :raises UserError: when no date moved
        """
        self.ensure_one()
        return self._get_moved_milestones()[:1].action_shift_successors()

    def action_keep_milestones(self):
        """Leave the dates of the following milestones as they are, and do not ask again."""
        self.ensure_one()
        return self._get_moved_milestones().action_keep_successors()

    def _get_moved_milestones(self):
        self.check_access("write")
        moved = self.milestone_ids.filtered("date_shift")
        if not moved:
            raise UserError(self.env._("No contract date of %(order)s moved.", order=self.name))
        return moved

    def _copy_milestone_lines(self, new_order):
        result = super()._copy_milestone_lines(new_order)
        copies = self._get_copied_milestones(new_order)
        for milestone, copy in copies.items():
            if milestone.predecessor_ids:
                copy.predecessor_ids = copy.browse(copies[other].id for other in milestone.predecessor_ids)
        return result

    def _action_confirm(self):
        result = super()._action_confirm()
        self.milestone_ids.sudo().filtered("date_shift")._write_protected({"date_shift": 0})
        return result

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        for milestone, milestone_values in zip(self.milestone_ids.sorted("id"), values["milestones"], strict=True):
            if milestone.predecessor_ids:
                milestone_values["after"] = sorted(milestone.predecessor_ids.ids)
        return values
