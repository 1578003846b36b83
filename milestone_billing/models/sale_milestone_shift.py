from odoo import fields, models
from odoo.exceptions import UserError

from ..tools.milestone_schedule import DateTooFar, add_delay
from .sale_milestone_dependencies import WORK_STATES
from .sale_milestone_screen import INTERNAL

MAX_DAYS = 3650


class SaleMilestone(models.Model):
    """When a contract date moves, what follows it may move along: that is offered, and done on request."""

    _inherit = "sale.milestone"

    date_shift = fields.Integer(
        string="Moved By (days)",
        readonly=True,
        copy=False,
        groups=INTERNAL,
        help="Days by which the contract date moved, while it is open whether the following milestones move as well.",
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"date_shift"}

    def write(self, vals):
        dates = {milestone: milestone.contract_date for milestone in self} if "contract_date" in vals else {}
        result = super().write(vals)
        for milestone, date in dates.items():
            milestone._offer_shift(date)
        return result

    def action_shift_successors(self, days=None):
        """Move the contract dates of all milestones that follow this one, directly or through others.

        :param int days: by how many, earlier when negative; without it a dialog shows the dates first
        :raises UserError: when no dated milestone follows, for no or too many days,
            or when the plan is agreed
        """
        self.ensure_one()
        self.check_access("write")
        followers = self._get_followers()
        if not followers:
            raise UserError(
                self.env._("No open milestone with a contract date follows %(milestone)s.", milestone=self.name)
            )
        followers._check_can_move()
        if days is None:
            return self._open_shift_dialog()
        self._shift_followers(followers, days)
        return True

    def action_keep_successors(self):
        """Leave the dates of the following milestones as they are, and do not ask again."""
        self.check_access("write")
        self._forget_shift()
        return True

    def _open_shift_dialog(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Shift the Following Milestones"),
            "res_model": "sale.milestone.shift",
            "view_mode": "form",
            "target": "new",
            "context": {"default_milestone_id": self.id},
        }

    def _shift_followers(self, followers, days):
        """Move the dates of ``followers`` by ``days``; the usual rules of the plan apply to each."""
        self.ensure_one()
        if not isinstance(days, int) or not 0 < abs(days) <= MAX_DAYS:
            raise UserError(self.env._("Milestones are shifted by whole days, at most %(days)s.", days=MAX_DAYS))
        for milestone in followers:
            date = milestone._get_shifted_date(days)
            if not date:
                raise UserError(
                    self.env._(
                        "%(milestone)s would be due after the year 9999: shift by fewer days, or leave it out.",
                        milestone=milestone.name,
                    )
                )
            milestone.contract_date = date
        (self | followers)._forget_shift()

    def _get_shifted_date(self, days):
        """Return the contract date moved by ``days``, or False where there is no such date."""
        self.ensure_one()
        try:
            return abs(days) <= MAX_DAYS and add_delay(self.contract_date, days, "day")
        except DateTooFar:
            return False

    def _offer_shift(self, old_date):
        self.ensure_one()
        milestone = self.sudo()
        new_date = milestone.contract_date
        days = (new_date - old_date).days if new_date and old_date else 0
        if new_date == old_date:
            return
        shift = milestone.date_shift + days if days and milestone._has_followers() else 0
        if shift != milestone.date_shift:
            milestone._write_protected({"date_shift": shift})

    def _forget_shift(self):
        """Offer no shift any more; callers have checked the right to change the plan, the mark is protected."""
        self.sudo().filtered("date_shift")._write_protected({"date_shift": 0})

    def _withdraw_shifts(self, before):
        """Offer no new shift where dates that follow were set in the same go, and none where nothing follows.

        It comes after the order was written, which checked its rights: offers are marks that nobody writes.

        :param dict before: by milestone its contract date and open shift, as they were before all of it
        """
        milestones = self.sudo()
        unknown = (False, 0)
        dated = milestones.filtered(lambda milestone: milestone.contract_date != before.get(milestone, unknown)[0])
        for milestone in (dated & dated._get_preceding()).filtered("date_shift"):
            milestone._write_protected({"date_shift": before.get(milestone, unknown)[1]})
        milestones.filtered(lambda milestone: milestone.date_shift and not milestone._has_followers())._forget_shift()

    def _get_preceding(self):
        """Return the milestones before these, directly or through others."""
        preceding, front = self.browse(), self
        while front:
            front = front.predecessor_ids - preceding
            preceding |= front
        return preceding

    def _has_followers(self):
        """Whether :meth:`_get_followers` has any, without walking through all of them."""
        known = front = self
        while front:
            front = front.successor_ids - known
            if any(milestone._can_follow() for milestone in front):
                return True
            known |= front
        return False

    def _can_follow(self):
        self.ensure_one()
        return bool(self.contract_date) and self.state in WORK_STATES

    def _get_followers(self):
        """Return the milestones after these, directly or through others, whose dates can still move."""
        followers, front = self.browse(), self
        while front:
            front = front.successor_ids - followers - self
            followers |= front
        movable = followers.filtered(lambda milestone: milestone._can_follow())
        return movable.sorted(lambda milestone: (milestone.contract_date, milestone.sequence, milestone.id))

    def _check_can_move(self):
        """:raises UserError: on an agreed plan"""
        self._check_plan_open()
