from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain

from ..tools.cycle import find_cycle
from .one_save import OneSave
from .sale_milestone_screen import INTERNAL

EARLY_GROUPS = ("sales_team.group_sale_manager", "project.group_project_manager")
SETTLED_STATES = ("approved", "cancelled")
WORK_STATES = ("draft", "in_progress", "changes_requested")


class SaleMilestone(models.Model):
    """The order of the outcomes: what has to be approved before something else is presented.

    Work may begin before that, and so the dependencies are not handed on to the tasks of the
    project: Odoo would show those as waiting, though somebody works on them.
    """

    _inherit = "sale.milestone"

    predecessor_ids = fields.Many2many(tracking=True)
    successor_ids = fields.Many2many(string="Followed By", readonly=True)
    waiting_for = fields.Char(
        compute="_compute_waiting_for",
        compute_sudo=True,
        help="Milestones that have to be approved before this one can be submitted.",
    )
    is_blocked = fields.Boolean(
        string="Blocked",
        compute="_compute_waiting_for",
        compute_sudo=True,
        search="_search_is_blocked",
        help="Cannot be submitted yet, because a milestone that it follows is not approved.",
    )
    early_reason = fields.Text(string="Reason to Submit Early", readonly=True, copy=False, groups=INTERNAL)
    early_by_id = fields.Many2one(
        "res.users", string="Early Submission Allowed By", readonly=True, copy=False, groups=INTERNAL
    )
    early_on = fields.Datetime(string="Early Submission Allowed On", readonly=True, copy=False, groups=INTERNAL)
    date_warning = fields.Char(compute="_compute_date_warning", compute_sudo=True, groups=INTERNAL)

    @property
    def _protected_fields(self):
        # the other side of predecessor_ids, which is where the plan is guarded
        return super()._protected_fields | {"successor_ids", "early_reason", "early_by_id", "early_on"}

    @api.depends("predecessor_ids.state", "predecessor_ids.name", "state", "early_reason")
    def _compute_waiting_for(self):
        for milestone in self:
            blocking = milestone._get_blocking()
            milestone.waiting_for = ", ".join(blocking.mapped("name"))
            milestone.is_blocked = bool(blocking and not milestone.early_reason)

    @api.model
    def _search_is_blocked(self, operator, value):
        if operator not in ("in", "not in"):
            return NotImplemented
        blocked = (
            Domain("state", "in", WORK_STATES)
            & Domain("early_reason", "=", False)
            & Domain("predecessor_ids", "any", [("state", "not in", SETTLED_STATES)])
        )
        return blocked if (True in value) == (operator == "in") else ~blocked

    @api.depends("contract_date", "predecessor_ids.contract_date", "predecessor_ids.name", "name", "state")
    def _compute_date_warning(self):
        for milestone in self:
            later = milestone.predecessor_ids.filtered(
                lambda other, milestone=milestone: (
                    other.state != "cancelled"
                    and other.contract_date
                    and milestone.contract_date
                    and other.contract_date > milestone.contract_date
                )
            )
            milestone.date_warning = bool(later) and self.env._(
                "%(milestone)s is due before %(others)s, which it follows.",
                milestone=milestone.name,
                others=", ".join(later.mapped("name")),
            )

    @api.constrains("predecessor_ids", "order_id")
    def _check_predecessors(self):
        for milestone in self.sudo():
            for other in milestone.predecessor_ids:
                if other.order_id != milestone.order_id:
                    raise ValidationError(
                        self.env._(
                            "%(milestone)s can only follow milestones of its own order, and %(other)s belongs to "
                            "another one.",
                            milestone=milestone.name,
                            other=other.with_context(milestone_with_order=True).display_name,
                        )
                    )
        if not OneSave.postpone(self):
            self._check_circle()

    def _check_circle(self):
        """:raises ValidationError: when milestones wait for each other, those that the user may not read included"""
        for milestone in self.sudo():
            if cycle := find_cycle(milestone, "predecessor_ids"):
                raise ValidationError(
                    self.env._(
                        "These milestones wait for each other: %(cycle)s. Remove one of the dependencies.",
                        cycle=" → ".join(step.name for step in cycle),
                    )
                )

    def write(self, vals):
        before = {milestone: milestone.predecessor_ids for milestone in self} if "predecessor_ids" in vals else {}
        result = super().write(vals)
        # an exception was made for the milestones that were open then, not for others
        changed = self.filtered(
            lambda milestone: milestone in before and before[milestone] != milestone.predecessor_ids
        )
        changed.sudo().filtered("early_reason")._forget_early_submission()
        return result

    def action_allow_early(self, reason=None):
        """Let milestones be submitted before what they follow is approved.

        :param str reason: why; without it a dialog asks for it
        :raises AccessError: for others than managers of sales or projects
        :raises UserError: when nothing keeps a milestone from being submitted
        """
        self._check_can_allow_early()
        for milestone in self:
            if not milestone.is_blocked:
                raise UserError(
                    self.env._("%(milestone)s does not wait for another milestone.", milestone=milestone.display_name)
                )
        if not (reason or "").strip():
            return self._open_reason_dialog("early")
        for milestone in self.sudo():
            milestone._write_protected(
                {
                    "early_reason": reason.strip(),
                    "early_by_id": self.env.uid,
                    "early_on": fields.Datetime.now(),
                }
            )
            milestone._post_review_note(
                self.env._(
                    "May be submitted before %(others)s is approved: %(reason)s",
                    others=milestone.waiting_for,
                    reason=reason.strip(),
                )
            )
        return True

    def _check_can_allow_early(self):
        if not any(self.env.user.has_group(group) for group in EARLY_GROUPS):
            raise AccessError(
                self.env._("Only managers of sales or projects let a milestone be submitted out of its order.")
            )
        self.check_access("write")

    def _forget_early_submission(self):
        self._write_protected({"early_reason": False, "early_by_id": False, "early_on": False})

    def _get_blocking(self):
        """Return the milestones that have to be approved before this one is submitted."""
        self.ensure_one()
        if self.state not in WORK_STATES:
            return self.browse()
        return self.predecessor_ids.filtered(lambda other: other.state not in SETTLED_STATES)

    def _get_missing_for_review(self):
        missing = super()._get_missing_for_review()
        if self.is_blocked:
            missing.append(
                self.env._(
                    "it follows %(others)s, not approved yet; a manager of sales or projects can allow it earlier",
                    others=self.waiting_for,
                )
            )
        return missing

    def _prepare_snapshot_values(self):
        """An exception that was made is part of what is reviewed."""
        values = super()._prepare_snapshot_values()
        if self.sudo().early_reason:
            values["early"] = self.sudo().early_reason
        return values
