from datetime import datetime, time, timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.attempt import attempt
from .res_company_kickoff import END_OF_DAY
from .sale_milestone_dependencies import SETTLED_STATES
from .sale_milestone_screen import INTERNAL

TASKS_FAILED = "milestone_billing.mail_activity_tasks_failed"
# five years: the working hours of all days are looked at on which tasks are laid out
MAX_WORK_DAYS = 1826


class SaleMilestone(models.Model):
    """Tasks of the deliverables: made when the turn of a milestone comes, and laid out before its contract date."""

    _inherit = "sale.milestone"

    next_tasks_queued = fields.Boolean(
        readonly=True, copy=False, groups=INTERNAL, help="Approved; the tasks of what comes next are about to be made."
    )
    can_create_tasks = fields.Boolean(compute="_compute_can_create_tasks", compute_sudo=True, groups=INTERNAL)

    _next_tasks_queued_idx = models.Index("(id) WHERE next_tasks_queued IS TRUE")

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"next_tasks_queued"}

    @api.depends("deliverable_ids.task_id", "project_id", "state", "order_state")
    def _compute_can_create_tasks(self):
        for milestone in self:
            milestone.can_create_tasks = (
                milestone.project_id
                and milestone.order_state == "sale"
                and milestone.state not in SETTLED_STATES
                and milestone._get_deliverables_without_task()
            )

    def action_start(self):
        result = super().action_start()
        self.sudo()._create_missing_tasks()
        return result

    def action_create_tasks(self):
        """Make the tasks of the deliverables before the turn of these milestones comes.

        :raises UserError: when a milestone is settled, in no project, or has its tasks already
        """
        self._check_can_deliver()
        for milestone in self:
            milestone._check_can_create_tasks()
        self.sudo()._create_missing_tasks()
        return True

    def _check_can_create_tasks(self):
        self.ensure_one()
        name = self.display_name
        if self.order_state != "sale":
            raise UserError(self.env._("%(milestone)s gets its tasks once the order is confirmed.", milestone=name))
        if self.state in SETTLED_STATES:
            raise UserError(self.env._("%(milestone)s is settled: there is nothing left to do.", milestone=name))
        if not self.sudo().project_id:
            raise UserError(self.env._("%(milestone)s belongs to no project.", milestone=name))
        if not self._get_deliverables_without_task():
            raise UserError(self.env._("Each deliverable of %(milestone)s has its task already.", milestone=name))

    def _get_deliverables_without_task(self):
        return self.deliverable_ids.filtered(lambda deliverable: not deliverable.task_id)

    def _create_missing_tasks(self):
        """Make a task for each deliverable that has none, in the project of its milestone."""
        for milestone in self.filtered("project_id"):
            deliverables = milestone._get_deliverables_without_task().sorted(lambda line: (line.sequence, line.id))
            if deliverables:
                deadlines = milestone._get_task_deadlines(len(deliverables))
                milestone.project_id._create_deliverable_tasks(deliverables, deadlines)

    # -- deadlines --------------------------------------------------------------------------------------

    def _get_task_deadlines(self, count):
        """Lay out ``count`` tasks on the working days between the start of the work and the contract date.

        The last one is due some days before the contract date (see ``milestone_lead_days``), so that the
        client has time to review. Where time is short, at most half of it is kept for that; where it is long,
        the work is laid out on its last years.

        :return: list of ends of working days (UTC), or of False without a contract date, or when it is past
        """
        self.ensure_one()
        today, due = fields.Date.context_today(self), self.contract_date
        if not count or not due or due < today:
            return [False] * count
        start = min(max(self._get_work_start(), today), due)
        last = due - timedelta(days=min(self.company_id.milestone_lead_days, (due - start).days // 2))
        start = max(start, last - timedelta(days=MAX_WORK_DAYS))
        days = (
            self.company_id._get_working_days(start, last)
            or self.company_id._get_working_days(start, due)
            or {due: datetime.combine(due, END_OF_DAY)}
        )
        ends = [days[day] for day in sorted(days)]
        return [ends[-(-number * len(ends) // count) - 1] for number in range(1, count + 1)]

    def _sync_project_milestone(self):
        super()._sync_project_milestone()
        self.sudo()._pull_tasks_before_contract_date()

    def _pull_tasks_before_contract_date(self):
        """Lay out anew what would be due after a contract date that came nearer; other deadlines are left alone."""
        for milestone in self.filtered("contract_date"):
            due = datetime.combine(milestone.contract_date, time.max)
            tasks = milestone.deliverable_ids.task_id.filtered(
                lambda task, due=due: not task.is_closed and task.date_deadline and task.date_deadline > due
            )
            for task, deadline in zip(tasks, milestone._get_task_deadlines(len(tasks)), strict=True):
                task.date_deadline = deadline

    def _get_work_start(self):
        """Return the day on which the work begins: when what comes before is due, or today where that is done."""
        self.ensure_one()
        dates = self._get_previous().filtered(lambda other: other.state not in SETTLED_STATES).mapped("contract_date")
        return max(filter(None, dates), default=fields.Date.context_today(self))

    def _get_previous(self):
        """Return what this milestone follows: by its dependencies, or by the order of the plan where there are none."""
        self.ensure_one()
        others = self.order_id.milestone_ids
        if others.predecessor_ids:
            return self.predecessor_ids
        place = (self.sequence, self.id)
        return others.filtered(lambda other: (other.sequence, other.id) < place).sorted("sequence")[-1:]

    # -- what comes next --------------------------------------------------------------------------------

    def _after_approval(self):
        """Leave the tasks of what comes next to a cron: the client's act is small, and does not wait for them."""
        super()._after_approval()
        milestones = self.sudo().filtered("project_id")
        if milestones:
            milestones._write_protected({"next_tasks_queued": True})
            self.env.ref("milestone_billing.ir_cron_next_tasks").sudo()._trigger()

    @api.model
    def _cron_create_next_tasks(self):
        """Make the tasks of what comes after approved milestones; what fails is told to the project manager."""
        domain = fields.Domain("next_tasks_queued", "=", True)
        queued = self.search(domain, limit=1000)
        self.env["ir.cron"]._commit_progress(remaining=len(queued))
        for order, milestones in queued.grouped("order_id").items():
            locked = milestones.try_lock_for_update(allow_referencing=True).filtered_domain(domain)
            if locked:
                locked._create_next_tasks(order)
            if not self.env["ir.cron"]._commit_progress(len(milestones)):
                break

    def _create_next_tasks(self, order):
        error = attempt(self.env, order._create_current_tasks)
        self._write_protected({"next_tasks_queued": False})
        if error:
            order._report_tasks_failure(error)
