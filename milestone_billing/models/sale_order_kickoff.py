from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from ..tools.attempt import attempt
from .sale_order_team import PLANNING

FIRST_HOUR, LAST_HOUR = 9, 17  # of a kickoff, in the time zone of who leads it
SEARCH_DAYS = 30


class SaleOrder(models.Model):
    """What begins with the confirmation: the team meets, the client is welcomed, the manager plans."""

    _inherit = "sale.order"

    milestone_kickoff_ids = fields.One2many(
        "calendar.event", "kickoff_order_id", string="Kickoff", groups="base.group_user"
    )
    milestone_welcomed_on = fields.Datetime(
        string="Client Welcomed", readonly=True, copy=False, groups="base.group_user"
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"milestone_welcomed_on"}

    def _action_confirm(self):
        result = super()._action_confirm()
        for order in self.filtered("milestone_ids"):
            order._begin_engagement()
        return result

    def _begin_engagement(self):
        """Do what comes with a confirmation; a step that fails is undone alone, and told to who leads the delivery.

        The confirmation may be the client's signature. Mails are queued here and leave after the commit.
        """
        order = self.sudo()
        for step in (order._complete_team, order._plan_next_update, order._propose_kickoff_by_policy, order._welcome):
            if error := attempt(self.env, step):
                order._note_kickoff_failure(error)
        if error := attempt(self.env, order._ask_for_planning):
            order._note_kickoff_failure(error)

    def _note_kickoff_failure(self, error):
        self.message_post(
            body=self.env._("A part of the kickoff could not be prepared: %(error)s", error=str(error)),
            subtype_xmlid="mail.mt_note",
        )

    # -- the manager ------------------------------------------------------------------------------------

    def _get_delivery_document(self):
        """Return the record on which who leads the delivery gets activities: the project, or what they may read."""
        self.ensure_one()
        order, user = self.sudo(), self._get_delivery_manager()
        documents = [*order.milestone_ids.project_id, order, *order.milestone_ids.sorted("sequence")]
        return next((doc for doc in documents if user and doc.with_user(user).has_access("read")), order)

    def _ask_for_planning(self, **values):
        """Give who leads the delivery the activity to complete the planning, with what is done and what is not.

        :param values: more values of the activity
        """
        self.ensure_one()
        user, document = self._get_delivery_manager(), self._get_delivery_document()
        if user.active and not document.activity_search([PLANNING]):
            order = self.with_context(lang=user.lang)
            document.activity_schedule(
                PLANNING,
                user_id=user.id,
                summary=order.env._("Complete the planning of %(order)s", order=self.name),
                note=order._render_checklist(),
                **values,
            )

    # -- the meeting ------------------------------------------------------------------------------------

    def action_plan_kickoff(self):
        """Open the kickoff meeting of this order, or propose one: both sides, a free hour and an agenda.

        :raises AccessError: for those who may not change its team
        :raises UserError: when the order is not confirmed, or has no milestones
        """
        self.ensure_one()
        self.check_access("write")
        self.env["sale.engagement.contact"].check_access("write")  # accountants write orders, and invite nobody
        return self._get_kickoff_action()

    def _get_kickoff_action(self):
        order = self.sudo()
        if order.state != "sale" or not order.milestone_ids:
            raise UserError(
                self.env._("%(order)s has no kickoff: confirm it with its milestones first.", order=order.name)
            )
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Kickoff of %(order)s", order=order.name),
            "res_model": "calendar.event",
            "view_mode": "form",
            "views": [(False, "form")],
        }
        if kickoff := order._get_kickoff():
            return {**action, "res_id": kickoff.id}
        values = order._prepare_kickoff_values(self.env.user)
        defaults = {f"default_{name}": value for name, value in values.items()}
        # in a dialog: whoever only looks at the proposal and leaves has invited nobody
        return {**action, "target": "new", "context": {**defaults, "skip_contact_description": True}}

    def _get_kickoff(self):
        """Return the kickoff that is planned or was held (may be empty)."""
        self.ensure_one()
        return self.sudo().milestone_kickoff_ids.filtered("active").sorted("start")[-1:]

    def _propose_kickoff_by_policy(self):
        user = self._get_delivery_manager()
        if self.company_id.milestone_kickoff_meeting == "automatic" and user.active and not self._get_kickoff():
            self._propose_kickoff(user)

    def _propose_kickoff(self, user):
        """Make the meeting in the name of ``user``; the invitations are queued and leave after the commit."""
        self.ensure_one()
        context = {"skip_contact_description": True, "mail_notify_force_send": False}
        events = self.env["calendar.event"].with_user(user).sudo().with_context(**context)
        event = events.create(self._prepare_kickoff_values(user))
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
        return event

    def _prepare_kickoff_values(self, user):
        """Return the values of the meeting, in the client's language.

        :param user: who invites
        """
        self.ensure_one()
        if not self.milestone_contact_ids:
            self._complete_team()
        partners = user.partner_id | self.milestone_contact_ids.partner_id
        start = self._find_kickoff_slot(partners, user)
        order = self.with_context(lang=self.partner_id.lang)
        return {
            "name": order.env._("Kickoff: %(order)s", order=self.client_order_ref or self.name),
            "start": start,
            "stop": start + timedelta(hours=1),
            "user_id": user.id,
            "partner_ids": [fields.Command.set(partners.ids)],
            "description": order._render_agenda(),
            "videocall_location": self.env["calendar.event"].get_discuss_videocall_location(),
            "kickoff_order_id": self.id,
        }

    def _render_agenda(self):
        """Return the agenda as HTML: plan, team and rhythm, in the language of the environment; no amounts."""
        self.ensure_one()
        milestones = self.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        values = {"order": self, "milestones": milestones.sorted("sequence")}
        return self.env["ir.qweb"]._render("milestone_billing.kickoff_agenda", values)

    def _find_kickoff_slot(self, partners, user):
        """Return the first hour in which nobody has another meeting (UTC), some working days from today.

        Where no hour is free for everybody it is the first hour of those days.
        """
        self.ensure_one()
        today = fields.Date.context_today(self)
        days = self.company_id._get_working_hours(today + timedelta(days=1), today + timedelta(days=2 * SEARCH_DAYS))
        days = list(days.values())[self.company_id.milestone_kickoff_days - 1 :][:SEARCH_DAYS]
        slots = [slot for hours in days for slot in self._get_kickoff_hours(hours, user)]
        if not slots:
            day = fields.Datetime.now().replace(minute=0, second=0, microsecond=0)
            return day + timedelta(days=self.company_id.milestone_kickoff_days)
        busy = self._get_busy_times(partners, slots[0], slots[-1] + timedelta(hours=1))
        return next(
            (slot for slot in slots if not any(a < slot + timedelta(hours=1) and slot < b for a, b in busy)), slots[0]
        )

    def _get_kickoff_hours(self, hours, user):
        """Return the whole hours of a working day, within those that are proposed to clients.

        :param hours: pairs of begin and end of the working hours (UTC)
        """
        zoned = self.with_context(tz=self._get_kickoff_zone(user))
        found = []
        for begin, end in hours:
            slot = begin.replace(minute=0, second=0, microsecond=0)
            slot += timedelta(hours=1) if slot < begin else timedelta()
            while slot + timedelta(hours=1) <= end:
                if FIRST_HOUR <= fields.Datetime.context_timestamp(zoned, slot).hour < LAST_HOUR:
                    found.append(slot)
                slot += timedelta(hours=1)
        return found

    def _get_kickoff_zone(self, user):
        """Return the name of the time zone of whoever invites."""
        return user.tz or self.company_id.resource_calendar_id.tz or "UTC"

    def _get_busy_times(self, partners, start, stop):
        """Return the pairs of start and stop (UTC) of what keeps one of ``partners`` from coming."""
        attendees = self.env["calendar.attendee"].search(
            [
                ("partner_id", "in", partners.ids),
                ("state", "!=", "declined"),
                ("event_id.show_as", "=", "busy"),
                ("event_id.start", "<", stop),
                ("event_id.stop", ">", start),
            ]
        )
        return [(event.start, event.stop) for event in attendees.event_id]

    # -- the client -------------------------------------------------------------------------------------

    def _welcome(self):
        """Queue a mail to each contact of the client, once; it leaves after the commit."""
        self.ensure_one()
        guests = self.milestone_contact_ids.filtered(lambda contact: contact.side == "theirs" and contact.email)
        template = self.env.ref("milestone_billing.mail_template_welcome", raise_if_not_found=False)
        if self.milestone_welcomed_on or not self.company_id.milestone_welcome or not guests or not template:
            return
        first = {contact.partner_id: contact for contact in reversed(guests)}  # one mail, whatever roles somebody has
        template.sudo().send_mail_batch(
            [contact.id for contact in first.values()],
            force_send=False,
            # personal links are in it: it belongs to no document where others would read them
            email_values={"model": False, "res_id": False, "author_id": self.env.ref("base.partner_root").id},
            email_layout_xmlid="milestone_billing.mail_notification_kickoff",
        )
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
        self._write_protected({"milestone_welcomed_on": fields.Datetime.now()})
