from datetime import datetime, time, timedelta

import pytz

from odoo import api, fields, models

from ..tools.milestone_schedule import LAST_DAY

UPDATE_RHYTHMS = [
    ("none", "No Status Updates"),
    ("weekly", "Weekly"),
    ("biweekly", "Every Two Weeks"),
    ("monthly", "Monthly"),
]
END_OF_DAY = time(17)  # where the company has no working hours


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_project_template_id = fields.Many2one(
        "project.project",
        string="Project Template of Milestone Contracts",
        domain=[("is_template", "=", True)],
        check_company=True,
        help="Projects that a confirmation makes are made from it, if the order says nothing else.",
    )
    milestone_lead_days = fields.Integer(
        string="Days Kept for the Review",
        compute="_compute_milestone_lead_days",
        store=True,
        readonly=False,
        precompute=True,
        help="The last task of a milestone is due so many days before the contract date. "
        "It follows the review period until another number is entered.",
    )
    milestone_kickoff_meeting = fields.Selection(
        [("manual", "Planned by the Project Manager"), ("automatic", "Proposed at the Confirmation")],
        string="Kickoff Meeting",
        default="automatic",
        required=True,
    )
    milestone_kickoff_days = fields.Integer(
        string="Kickoff After",
        default=3,
        help="A kickoff is proposed so many working days after today, at the earliest.",
    )
    milestone_welcome = fields.Boolean(
        string="Welcome the Client",
        default=True,
        help="The client's contacts get a mail with the team, the next steps and the link to the portal, once, "
        "when the order is confirmed.",
    )
    milestone_update_rhythm = fields.Selection(
        UPDATE_RHYTHMS, string="Status Updates to the Client", default="weekly", required=True
    )

    _milestone_kickoff_days_positive = models.Constraint(
        "CHECK(milestone_kickoff_days >= 1 AND milestone_lead_days >= 0)",
        "A kickoff is proposed for the next working day at the earliest, and the days kept for a review are not "
        "below zero.",
    )

    @api.depends("milestone_review_days")
    def _compute_milestone_lead_days(self):
        for company in self:
            company.milestone_lead_days = company.milestone_review_days

    def _get_working_days(self, first, last):
        """Return the ends of the working days from ``first`` to ``last``, both included.

        Public holidays of the company are none; without working hours these are Monday to Friday.

        :return: dict of the end of the day (UTC, naive) by day, the earliest first
        """
        return {day: intervals[-1][1] for day, intervals in self._get_working_hours(first, last).items()}

    def _get_working_hours(self, first, last):
        """Return the working hours by day, as pairs of begin and end (UTC, naive)."""
        self.ensure_one()
        last = min(last, LAST_DAY)
        calendar = self.resource_calendar_id
        zone = pytz.timezone(calendar.tz or self.partner_id.tz or "UTC")
        days = {}
        if not calendar or calendar.flexible_hours:
            for number in range((last - first).days + 1):
                day = first + timedelta(days=number)
                if day.weekday() < 5:
                    hours = (zone.localize(datetime.combine(day, moment)) for moment in (time(9), END_OF_DAY))
                    days[day] = [tuple(_to_utc(moment) for moment in hours)]
            return days
        begin, end = (
            zone.localize(datetime.combine(day, moment)) for day, moment in ((first, time.min), (last, time.max))
        )
        for start, stop, _meta in calendar._work_intervals_batch(begin, end)[False]:
            days.setdefault(start.date(), []).append((_to_utc(start), _to_utc(stop)))
        return days

    def _get_next_working_day(self, day):
        """Return ``day``, or the first working day after it."""
        return next(iter(self._get_working_days(day, day + timedelta(days=31))), day)


def _to_utc(moment):
    return moment.astimezone(pytz.utc).replace(tzinfo=None)
