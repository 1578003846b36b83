from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models

from .res_company_kickoff import UPDATE_RHYTHMS
from .sale_milestone_dependencies import SETTLED_STATES

UPDATE_DUE = "milestone_billing.mail_activity_update_due"
STEPS = {"weekly": timedelta(weeks=1), "biweekly": timedelta(weeks=2), "monthly": relativedelta(months=1)}


class SaleOrder(models.Model):
    """The rhythm of status updates: how often, when the next one is due, and who is reminded to write it."""

    _inherit = "sale.order"

    milestone_update_rhythm = fields.Selection(
        UPDATE_RHYTHMS,
        string="Status Updates",
        compute="_compute_milestone_update_rhythm",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
        help="How often the client is told how far the work is. The members of the team say who gets it.",
    )
    milestone_update_next_date = fields.Date(
        string="Next Update", copy=False, groups="base.group_user", help="The project manager is reminded on this day."
    )

    @api.depends("company_id")
    def _compute_milestone_update_rhythm(self):
        for order in self:
            if order.state in ("draft", "sent"):
                company = order.company_id or self.env.company
                order.milestone_update_rhythm = company.milestone_update_rhythm or "none"
            else:
                order.milestone_update_rhythm = order.milestone_update_rhythm or "none"

    def write(self, vals):
        result = super().write(vals)
        if "milestone_update_rhythm" in vals and "milestone_update_next_date" not in vals:
            self.filtered(lambda order: order.state == "sale" and order.milestone_ids)._plan_next_update()
        return result

    def _plan_next_update(self):
        """Put the next update one step of the rhythm from today, on a working day."""
        for order in self.sudo():
            step = STEPS.get(order.milestone_update_rhythm)
            day = fields.Date.context_today(order)
            order.milestone_update_next_date = step and order.company_id._get_next_working_day(day + step)

    @api.model
    def _cron_remind_updates(self):
        """Remind project managers of the status updates that are due; a contract that is done needs none."""
        due = fields.Domain("milestone_update_next_date", "<=", fields.Date.context_today(self))
        orders = self.search(due & fields.Domain("state", "=", "sale"))
        self.env["ir.cron"]._commit_progress(remaining=len(orders))
        for order in orders:
            if order.try_lock_for_update(allow_referencing=True).filtered_domain(due):
                order._remind_update()
            if not self.env["ir.cron"]._commit_progress(1):
                break

    def _remind_update(self):
        self.ensure_one()
        open_milestones = self.milestone_ids.filtered(lambda milestone: milestone.state not in SETTLED_STATES)
        if not open_milestones or self.milestone_update_rhythm == "none":
            self.milestone_update_next_date = False
            return
        user, document = self._get_delivery_manager(), self._get_delivery_document()
        if user.active and not document.activity_search([UPDATE_DUE]):
            order = self.with_context(lang=user.lang)
            document.activity_schedule(
                UPDATE_DUE,
                user_id=user.id,
                date_deadline=self.milestone_update_next_date,
                summary=order.env._("Write the status update of %(order)s", order=self.name),
                note=order._get_rhythm_sentence(),
            )
        self._plan_next_update()
