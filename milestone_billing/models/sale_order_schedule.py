from calendar import monthrange
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from odoo import api, fields, models

from .res_company_schedule import INVOICE_SCHEDULES, WEEKDAYS

SCHEDULE_FIELDS = frozenset({"milestone_invoice_schedule", "milestone_invoice_weekday", "milestone_invoice_month_day"})


class SaleOrder(models.Model):
    """When the approved milestones of a contract are billed: at once, or together on a billing day."""

    _inherit = "sale.order"

    milestone_invoice_schedule = fields.Selection(
        INVOICE_SCHEDULES,
        string="Billed",
        compute="_compute_milestone_schedule",
        store=True,
        readonly=False,
        precompute=True,
        help="Milestones that wait for a billing day come on one invoice per customer, currency and terms, "
        "together with those of other orders.",
    )
    milestone_invoice_weekday = fields.Selection(
        WEEKDAYS,
        string="Billing Weekday",
        compute="_compute_milestone_schedule",
        store=True,
        readonly=False,
        precompute=True,
    )
    milestone_invoice_month_day = fields.Integer(
        string="Billing Day",
        compute="_compute_milestone_schedule",
        store=True,
        readonly=False,
        precompute=True,
        help="1 to 31; in shorter months the last day takes its place.",
    )

    _milestone_invoice_month_day_valid = models.Constraint(
        "CHECK(milestone_invoice_month_day IS NULL OR milestone_invoice_month_day BETWEEN 1 AND 31)",
        "The billing day is a day of the month: 1 to 31.",
    )

    @api.depends("company_id", "partner_id")
    def _compute_milestone_schedule(self):
        for order in self:
            company = order.company_id or self.env.company
            customer = order.partner_id.commercial_partner_id.with_company(company)
            if order.milestone_contract_hash:  # agreed, perhaps before there were schedules
                order.milestone_invoice_schedule = order.milestone_invoice_schedule or "at_once"
                order.milestone_invoice_weekday = order.milestone_invoice_weekday or "0"
                order.milestone_invoice_month_day = order.milestone_invoice_month_day or 31
            else:
                order.milestone_invoice_schedule = (
                    customer.milestone_invoice_schedule or company.milestone_invoice_schedule
                )
                order.milestone_invoice_weekday = company.milestone_invoice_weekday
                order.milestone_invoice_month_day = company.milestone_invoice_month_day

    def write(self, vals):
        """What waits to be billed follows its billing day, and whether a person is waited for."""
        turned = self._get_turned_by_policy(vals)
        result = super().write(vals)
        if not SCHEDULE_FIELDS.isdisjoint(vals):
            self._get_waiting_milestones().filtered(lambda milestone: not milestone.invoice_error)._queue_invoice()
        turned._get_waiting_milestones()._queue_invoice()
        return result

    def _get_turned_by_policy(self, vals):
        """Return the orders of which ``vals`` says that an accountant is waited for, or not any more."""
        if "milestone_invoice_policy" not in vals:
            return self.browse()
        manual = vals["milestone_invoice_policy"] == "manual"
        return self.filtered(lambda order: (order.milestone_invoice_policy == "manual") != manual)

    def _get_waiting_milestones(self):
        """Return what waits to be billed, in superuser mode: whoever could write the order moves it."""
        return self.sudo().milestone_ids.filtered(
            lambda milestone: milestone.billing_state == "to_invoice" and not milestone.on_hold
        )

    def _is_billed_together(self):
        """Whether milestones wait for a day, or a person, to be billed with others of their customer."""
        self.ensure_one()
        return (self.milestone_invoice_schedule or "at_once") != "at_once"

    def _get_next_billing_time(self):
        """Return when the invoice queue takes what is approved now (UTC), or False when it waits for a person.

        A billing day takes what was approved before it, in the time zone of the company.
        """
        self.ensure_one()
        now = fields.Datetime.now()
        if self.milestone_invoice_policy == "manual" or self.milestone_invoice_schedule == "on_demand":
            return False
        if not self._is_billed_together():
            return now
        timezone = ZoneInfo(self.company_id._get_milestone_timezone())
        today = now.replace(tzinfo=ZoneInfo("UTC")).astimezone(timezone).date()
        begin = datetime.combine(self._get_billing_day_after(today), time.min, timezone)
        return begin.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)

    def _get_billing_day_after(self, day):
        """Return the first billing day after ``day``."""
        self.ensure_one()
        if self.milestone_invoice_schedule == "weekly":
            return day + timedelta(days=(int(self.milestone_invoice_weekday) - day.weekday() - 1) % 7 + 1)
        first = day.replace(day=1)
        while True:
            last = monthrange(first.year, first.month)[1]
            billing_day = first.replace(day=min(self.milestone_invoice_month_day, last))
            if billing_day > day:
                return billing_day
            first += timedelta(days=last)

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self._is_billed_together():
            values["billed"] = self.milestone_invoice_schedule
            if self.milestone_invoice_schedule == "weekly":
                values["billing_day"] = self.milestone_invoice_weekday
            elif self.milestone_invoice_schedule == "monthly":
                values["billing_day"] = self.milestone_invoice_month_day
        return values
