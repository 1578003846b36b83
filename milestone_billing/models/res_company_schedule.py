from odoo import fields, models

from .res_partner import MILESTONE_GROUPS

INVOICE_SCHEDULES = [
    ("at_once", "At once"),
    ("weekly", "Weekly, on one invoice"),
    ("monthly", "Monthly, on one invoice"),
    ("on_demand", "On demand, on one invoice"),
]
WEEKDAYS = [
    ("0", "Monday"),
    ("1", "Tuesday"),
    ("2", "Wednesday"),
    ("3", "Thursday"),
    ("4", "Friday"),
    ("5", "Saturday"),
    ("6", "Sunday"),
]


class ResCompany(models.Model):
    """When approved milestones are billed, as a default for new orders."""

    _inherit = "res.company"

    milestone_invoice_schedule = fields.Selection(
        INVOICE_SCHEDULES, string="Milestones Are Billed", default="at_once", required=True
    )
    milestone_invoice_weekday = fields.Selection(WEEKDAYS, string="Billing Weekday", default="0", required=True)
    milestone_invoice_month_day = fields.Integer(
        string="Billing Day of the Month", default=31, help="1 to 31; in shorter months the last day takes its place."
    )

    _milestone_invoice_month_day_valid = models.Constraint(
        "CHECK(milestone_invoice_month_day BETWEEN 1 AND 31)", "The billing day is a day of the month: 1 to 31."
    )

    def _get_milestone_timezone(self):
        """Return the name of the time zone in which days of billing begin."""
        self.ensure_one()
        return self.partner_id.tz or self.resource_calendar_id.tz or "UTC"

    def _localize(self, records):
        """Return ``records`` of this company such that today is today there, whoever bills them from wherever."""
        return records.with_company(self).with_context(tz=self._get_milestone_timezone())

    def _get_today(self):
        return fields.Date.context_today(self._localize(self))


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_invoice_schedule = fields.Selection(
        related="company_id.milestone_invoice_schedule", readonly=False, required=True
    )
    milestone_invoice_weekday = fields.Selection(
        related="company_id.milestone_invoice_weekday", readonly=False, required=True
    )
    milestone_invoice_month_day = fields.Integer(related="company_id.milestone_invoice_month_day", readonly=False)


class ResPartner(models.Model):
    _inherit = "res.partner"

    milestone_invoice_schedule = fields.Selection(
        INVOICE_SCHEDULES,
        string="Milestones Are Billed",
        company_dependent=True,
        groups=MILESTONE_GROUPS,
        help="Default for new orders of this customer; empty for the default of the company.",
    )

    def _commercial_fields(self):
        return super()._commercial_fields() + ["milestone_invoice_schedule"]
