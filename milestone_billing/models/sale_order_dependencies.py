from odoo import api, fields, models
from odoo.exceptions import UserError

from .one_save import OneSave


class SaleOrder(models.Model):
    """Dependencies of the plan: copied, agreed on, and what the order's form says about dates."""

    _inherit = "sale.order"

    milestone_date_warning = fields.Text(
        compute="_compute_milestone_date_notes", compute_sudo=True, groups="base.group_user"
    )
    milestone_shift_offer = fields.Text(
        compute="_compute_milestone_date_notes", compute_sudo=True, groups="base.group_user"
    )

    @api.depends("milestone_ids.date_warning", "milestone_ids.date_shift", "milestone_ids.predecessor_ids", "state")
    def _compute_milestone_date_notes(self):
        for order in self:
            warnings = order.milestone_ids.filtered(
                lambda milestone: milestone.date_warning and milestone.state not in ("approved", "cancelled")
            )
            order.milestone_date_warning = "\n".join(warnings.mapped("date_warning"))
            order.milestone_shift_offer = order.state in ("draft", "sent") and "\n".join(
                self.env._(
                    "%(milestone)s moved by %(days)s days: %(count)s following milestones kept their dates.",
                    milestone=milestone.name,
                    days=f"{milestone.date_shift:+d}",
                    count=len(milestone._get_followers()),
                )
                for milestone in order._get_moved_milestones()
            )

    def write(self, vals):
        """In the form several milestones are changed at once, and written one by one."""
        if "milestone_ids" not in vals:
            return super().write(vals)
        milestones = self.sudo().milestone_ids  # only remembered: the rights are checked by writing
        before = {milestone: (milestone.contract_date, milestone.date_shift) for milestone in milestones}
        with OneSave.of(self) as orders:
            result = super(SaleOrder, orders).write(vals)
        self.milestone_ids._withdraw_shifts(before)
        return result

    def action_shift_milestones(self):
        """Open the dialog that shifts what follows the first milestone whose date moved.

        :raises UserError: when no date moved
        """
        self.ensure_one()
        return self._check_moved_milestones()[:1].action_shift_successors()

    def action_keep_milestones(self):
        """Leave the dates of the following milestones as they are, and do not ask again."""
        self.ensure_one()
        return self._check_moved_milestones().action_keep_successors()

    def _check_moved_milestones(self):
        self.check_access("write")
        moved = self._get_moved_milestones()
        if not moved:
            raise UserError(self.env._("No contract date of %(order)s moved.", order=self.name))
        return moved

    def _get_moved_milestones(self):
        """Return the milestones whose date moved, and that others follow: these may move along."""
        return self.milestone_ids.filtered(lambda milestone: milestone.date_shift and milestone._has_followers())

    def _copy_milestone_lines(self, new_order):
        result = super()._copy_milestone_lines(new_order)
        copies = self._get_copied_milestones(new_order)
        for milestone, copy in copies.items():
            if milestone.predecessor_ids:
                copy.predecessor_ids = copy.browse(copies[other].id for other in milestone.predecessor_ids)
        return result

    def _action_confirm(self):
        result = super()._action_confirm()
        self.milestone_ids._forget_shift()
        return result

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        for milestone, milestone_values in zip(self.milestone_ids.sorted("id"), values["milestones"], strict=True):
            if milestone.predecessor_ids:
                milestone_values["after"] = sorted(milestone.predecessor_ids.ids)
        return values
