from datetime import date, datetime, timedelta
from unittest.mock import patch

from lxml import etree

from odoo import SUPERUSER_ID
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, freeze_time, tagged
from odoo.tools import mute_logger

from .common import MilestoneCommon

MONDAY = "2031-03-03"


class KickoffCommon(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write({"milestone_create_project": True, "milestone_kickoff_days": 3, "milestone_welcome": True})
        cls.manager = cls.users["project_manager"]
        cls.template = cls.env["project.project"].create(
            {"name": "Roll-out", "is_template": True, "user_id": cls.manager.id}
        )

    @classmethod
    def _create_engagement(cls, **values):
        plan = [{"name": "Design <b>", "amount_untaxed": 1234.0, "contract_date": "2031-04-01"}, 200.0]
        values = {"milestone_project_template_id": cls.template.id, "milestone_create_project": True, **values}
        return cls._create_contract(plan, **values)

    def _get_mails(self, order):
        return self.env["mail.mail"].search([("subject", "ilike", f"Welcome: we begin with {order.name}")])

    def _get_planning(self, order):
        return order.milestone_ids.project_id.activity_search(["milestone_billing.mail_activity_planning"])


@tagged("post_install", "-at_install")
class TestKickoff(KickoffCommon):
    """What begins with the confirmation: team, welcome, checklist, meeting and the rhythm of updates."""

    # -- the team ------------------------------------------------------------------------------------

    def test_the_confirmation_completes_the_team(self):
        order = self._create_engagement(confirm=False)
        self.assertFalse(order.milestone_contact_ids)
        order.action_confirm()
        team = {
            (contact.partner_id, contact.role_id.name, contact.side, contact.receives_updates)
            for contact in order.milestone_contact_ids
        }
        self.assertEqual(
            team,
            {
                (self.manager.partner_id, "Project Manager", "ours", False),
                (self.users["salesperson"].partner_id, "Salesperson", "ours", False),
                (self.client_company, "Client Contact", "theirs", True),
                (self.approver, "Approver", "theirs", True),
            },
        )

    def test_who_is_in_the_team_already_keeps_the_role(self):
        role = self.env["project.role"].create({"name": "Sponsor"})
        order = self._create_engagement(confirm=False)
        order.milestone_contact_ids = [Command.create({"partner_id": self.approver.id, "role_id": role.id})]
        order.action_confirm()
        contact = order.milestone_contact_ids.filtered(lambda contact: contact.partner_id == self.approver)
        self.assertEqual(contact.role_id, role)
        self.assertEqual(len(order.milestone_contact_ids), 4)

    def _get_leaders(self, order):
        ours = order.milestone_contact_ids.filtered(lambda contact: contact.side == "ours")
        return {(contact.partner_id, contact.role_id.name) for contact in ours}

    def test_nobody_is_introduced_as_manager_before_somebody_is_named(self):
        self.template.user_id = False
        order = self._create_engagement()
        sales = self.users["salesperson"].partner_id
        self.assertEqual(self._get_leaders(order), {(sales, "Salesperson")})
        self.assertIn("The team is complete, each with an e-mail address", self._get_open_items(order))
        self.assertEqual(self._get_planning(order).user_id, self.users["salesperson"], "somebody has to plan")

    def test_the_team_follows_the_manager_of_the_project(self):
        self.template.user_id = False
        order = self._create_engagement()
        project, sales = order.milestone_ids.project_id, self.users["salesperson"]
        other = self.users["project_user"]
        for user, leaders in (
            (self.manager, {(self.manager.partner_id, "Project Manager"), (sales.partner_id, "Salesperson")}),
            (other, {(other.partner_id, "Project Manager"), (sales.partner_id, "Salesperson")}),
            (sales, {(sales.partner_id, "Project Manager")}),
            (other, {(other.partner_id, "Project Manager"), (sales.partner_id, "Salesperson")}),
            (self.env["res.users"], {(sales.partner_id, "Salesperson")}),
        ):
            with self.subTest(user=user.name):
                project.with_user(self.manager).user_id = user
                self.assertEqual(self._get_leaders(order), leaders)
                named = "The team is complete, each with an e-mail address" not in self._get_open_items(order)
                self.assertEqual(named, bool(user))

    def test_a_manager_who_was_named_by_hand_stays(self):
        order = self._create_engagement()
        project, expert = order.milestone_ids.project_id, self.users["employee"]
        line = order.milestone_contact_ids.filtered(lambda contact: contact.partner_id == self.manager.partner_id)
        line.partner_id = expert.partner_id
        before = self._get_leaders(order)
        for user in (self.users["project_user"], self.users["salesperson"], self.env["res.users"]):
            project.user_id = user
            self.assertEqual(self._get_leaders(order), before)
        line.unlink()
        project.user_id = self.manager
        self.assertIn((self.manager.partner_id, "Project Manager"), self._get_leaders(order))

    def test_who_was_added_by_hand_beside_the_manager_stays(self):
        order = self._create_engagement()
        role = self.env.ref("milestone_billing.project_role_manager")
        second = self.users["employee"].partner_id
        order.milestone_contact_ids = [Command.create({"partner_id": second.id, "role_id": role.id})]
        order.milestone_ids.project_id.user_id = self.users["project_user"]
        leaders = self._get_leaders(order)
        self.assertNotIn((self.manager.partner_id, "Project Manager"), leaders)
        self.assertLess(
            {(second, "Project Manager"), (self.users["project_user"].partner_id, "Project Manager")}, leaders
        )

    def test_the_planning_is_handed_over_with_the_project(self):
        self.template.write({"user_id": False, "privacy_visibility": "followers"})
        order = self._create_engagement()
        planning = ["milestone_billing.mail_activity_planning"]
        self.assertTrue(order.activity_search(planning), "the salesperson may not read the project")
        order.activity_search(planning).date_deadline = date(2031, 5, 5)
        project = order.milestone_ids.project_id
        project.user_id = self.manager
        self.assertFalse(order.activity_search(planning))
        activity = self._get_planning(order)
        self.assertEqual((activity.user_id, activity.date_deadline), (self.manager, date(2031, 5, 5)))
        activity.user_id = self.users["project_user"]
        project.user_id = self.users["employee"]
        self.assertEqual(self._get_planning(order).user_id, self.users["project_user"], "given to somebody by hand")
        activity.action_done()
        project.user_id = self.manager
        self.assertFalse(self._get_planning(order), "what is done is not asked for again")

    def test_a_project_without_contract_changes_its_manager(self):
        project = self.env["project.project"].create({"name": "Inside"})
        project.user_id = self.manager
        self.assertEqual(project.user_id, self.manager)

    def test_who_may_see_and_change_the_team(self):
        order = self._create_engagement()
        contacts = order.milestone_contact_ids
        for role in ("salesperson", "sale_all", "project_user", "project_manager"):
            with self.subTest(role=role):
                self.assertEqual(
                    len(
                        self.env["sale.engagement.contact"]
                        .with_user(self.users[role])
                        .search([("order_id", "=", order.id)])
                    ),
                    4,
                )
                contacts[0].with_user(self.users[role]).receives_updates = True
        for role in ("invoicing", "accountant", "employee"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                contacts[0].with_user(self.users[role]).receives_updates = False
        order.milestone_ids.project_id.privacy_visibility = "followers"
        with self.assertRaises(AccessError):
            contacts[0].with_user(self.users["project_user"]).receives_updates = False
        other = self._create_engagement(user_id=self.users["sale_all"].id)
        with self.assertRaises(AccessError):
            other.milestone_contact_ids[0].with_user(self.users["salesperson"]).read(["email"])

    def test_the_team_is_edited_in_the_form_of_the_order(self):
        order = self._create_engagement()
        with Form(order.with_user(self.users["salesperson"])) as form, form.milestone_contact_ids.new() as line:
            line.partner_id = self.other_contact
            line.role_id = self.env.ref("milestone_billing.project_role_expert")
        self.assertIn(self.other_contact, order.milestone_contact_ids.partner_id)

    def test_a_project_user_opens_the_team_without_reading_the_order(self):
        order = self._create_engagement()
        project = order.milestone_ids.project_id.with_user(self.users["project_user"])
        action = project.action_view_team()
        found = self.env["sale.engagement.contact"].with_user(self.users["project_user"]).search(action["domain"])
        self.assertEqual(found, order.milestone_contact_ids)
        with self.assertRaises(AccessError):
            project.with_user(self.users["employee"]).action_view_team()
        empty = self.env["project.project"].create({"name": "Empty"})
        with self.assertRefused("has no billing milestones"):
            empty.action_view_team()

    # -- the welcome ---------------------------------------------------------------------------------

    def test_the_client_is_welcomed_once_with_a_personal_link(self):
        third = self.env["res.partner"].create({"name": "Architect", "email": "architect@example.com"})
        order = self._create_engagement(confirm=False)
        order.milestone_contact_ids = [
            Command.create(
                {"partner_id": third.id, "role_id": self.env.ref("milestone_billing.project_role_expert").id}
            )
        ]
        order.action_confirm()
        mails = self._get_mails(order)
        self.assertEqual(mails.recipient_ids, self.client_company + self.approver + third)
        self.assertEqual(set(mails.mapped("state")), {"outgoing"}, "it leaves after the commit")
        self.assertFalse(any(mails.mapped("res_id")), "the links are for nobody inside")
        by_partner = {mail.recipient_ids: mail.body_html for mail in mails}
        self.assertIn(order.access_token, by_partner[self.approver])
        self.assertIn(f"pid={self.approver.id}", by_partner[self.approver])
        self.assertNotIn(order.access_token, by_partner[third], "a third party gets no link that opens the order")
        for body in by_partner.values():
            self.assertIn("Design &lt;b&gt;", body)
            self.assertIn(self.manager.email, body)
            self.assertNotIn("1,234", body)
        self.assertTrue(order.milestone_welcomed_on)
        order._action_cancel()
        order.action_draft()
        order.action_confirm()
        self.assertEqual(len(self._get_mails(order)), 3)

    def test_the_welcome_is_in_the_language_of_who_gets_it(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.approver.lang = "fr_FR"
        self.env.ref("milestone_billing.mail_template_welcome").with_context(
            lang="fr_FR"
        ).subject = "Bienvenue {{ object.order_id.name }}"
        order = self._create_engagement()
        mail = self.env["mail.mail"].search([("subject", "=", f"Bienvenue {order.name}")])
        self.assertEqual(mail.recipient_ids, self.approver)

    def test_nobody_is_welcomed_where_the_company_does_not_wish_it(self):
        self.company.milestone_welcome = False
        order = self._create_engagement()
        self.assertFalse(self._get_mails(order))
        self.assertFalse(order.milestone_welcomed_on)

    def test_a_preview_of_the_mail_holds_no_token(self):
        order = self._create_engagement()
        order._portal_ensure_token()
        contact = order.milestone_contact_ids.filtered(lambda contact: contact.partner_id == self.approver)
        url = contact.with_user(self.users["project_manager"])._get_access_url()
        self.assertNotIn("access_token", url)

    def test_an_order_without_milestones_begins_nothing(self):
        order = self.env["sale.order"].create(
            {"partner_id": self.client_company.id, "order_line": [Command.create({"product_id": self.product_a.id})]}
        )
        order.action_confirm()
        self.assertFalse(order.milestone_contact_ids)
        self.assertFalse(order.activity_ids)

    def test_a_step_that_fails_does_not_undo_the_confirmation(self):
        order = self._create_engagement(confirm=False)
        broken = patch.object(self.env.registry["sale.order"], "_welcome", side_effect=UserError("No template"))
        with broken, mute_logger("odoo.addons.milestone_billing.tools.attempt"):
            order.action_confirm()
        self.assertEqual(order.state, "sale")
        self.assertEqual(len(order.milestone_contact_ids), 4)
        self.assertTrue(self._get_planning(order))
        self.assertTrue(order.message_ids.filtered(lambda message: "No template" in message.body))

    # -- the checklist -------------------------------------------------------------------------------

    def _get_open_items(self, order):
        return [item.label for item in order._get_checklist() if not item.is_done]

    def test_the_manager_is_asked_to_complete_the_planning(self):
        order = self._create_engagement()
        activity = self._get_planning(order)
        self.assertEqual(activity.user_id, self.manager)
        self.assertIn("The kickoff meeting is planned", activity.note)
        self.assertIn(order.name, activity.summary)

    def test_the_checklist_says_what_is_left(self):
        order = self._create_engagement()
        self.assertEqual(self._get_open_items(order), ["Each task has an assignee", "The kickoff meeting is planned"])
        order.milestone_ids.deliverable_ids.task_id.user_ids = self.manager
        order.sudo()._propose_kickoff(self.manager)
        order.milestone_contact_ids.receives_updates = False
        self.assertEqual(self._get_open_items(order), ["The rhythm of status updates is agreed, and who gets them"])
        order.milestone_update_rhythm = "none"
        self.assertEqual(self._get_open_items(order), [])
        order.milestone_ids.deliverable_ids.task_id[:1].date_deadline = datetime(2099, 1, 1)
        self.approver.email = False
        self.assertEqual(len(self._get_open_items(order)), 3)  # deadline, team, portal

    def test_the_checklist_shows_on_order_and_project(self):
        order = self._create_engagement()
        project = order.milestone_ids.project_id
        self.assertIn("Each task has an assignee", order.with_user(self.users["salesperson"]).milestone_checklist)
        self.assertIn("Each task has an assignee", project.with_user(self.users["project_user"]).milestone_checklist)
        other = self.env["project.project"].create({"name": "Other"})
        self.assertFalse(other.milestone_checklist)
        self.assertFalse(self._create_engagement(confirm=False).milestone_checklist)

    # -- the meeting ---------------------------------------------------------------------------------

    @freeze_time(f"{MONDAY} 08:00:00")
    def test_the_button_proposes_a_meeting_of_both_sides(self):
        order = self._create_engagement()
        action = order.with_user(self.users["salesperson"]).action_plan_kickoff()
        events = self.env["calendar.event"].with_user(self.users["salesperson"]).with_context(**action["context"])
        form = Form(events)
        self.assertFalse(order.milestone_kickoff_ids, "nobody is invited before the dialog is saved")
        arch = etree.fromstring(events.get_view(view_type="form")["arch"])
        self.assertEqual(arch.xpath("//notebook/page/@name")[0], "kickoff_agenda", "what opens first")
        self.assertTrue(arch.xpath("//page[@name='kickoff_agenda']//field[@name='description']"))
        self.assertIn("Design &lt;b&gt;", form.description)
        event = form.save()
        self.assertEqual(order._get_kickoff(), event)
        self.assertEqual(event.start.date(), date(2031, 3, 6))
        self.assertEqual(event.stop - event.start, timedelta(hours=1))
        self.assertEqual(event.attendee_ids.partner_id, order.milestone_contact_ids.partner_id)
        self.assertTrue(event.videocall_location)
        for text in ("Design &lt;b&gt;", "Deliverable 2", "Project Manager", self.manager.email, "Weekly"):
            self.assertIn(text, event.description)
        self.assertNotIn("1,234", event.description)
        again = order.action_plan_kickoff()
        self.assertEqual(again["res_id"], event.id)

    def test_the_kickoff_is_refused_without_a_contract(self):
        order = self._create_engagement(confirm=False)
        with self.assertRefused("confirm it with its milestones first"):
            order.action_plan_kickoff()
        order.action_confirm()
        with self.assertRaises(AccessError):
            order.with_user(self.users["employee"]).action_plan_kickoff()
        with self.assertRaises(AccessError):
            order.with_user(self.users["project_manager"]).action_plan_kickoff()

    def test_a_manager_without_rights_on_orders_plans_it_in_the_project(self):
        order = self._create_engagement()
        project = order.milestone_ids.project_id.with_user(self.manager)
        action = project.action_plan_kickoff()
        event = Form(self.env["calendar.event"].with_user(self.manager).with_context(**action["context"])).save()
        self.assertEqual(order._get_kickoff(), event)
        for role in ("employee", "invoicing"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                project.with_user(self.users[role]).action_plan_kickoff()

    @freeze_time(f"{MONDAY} 08:00:00")
    def test_the_meeting_is_when_everybody_is_free(self):
        self.manager.tz = self.company.resource_calendar_id.tz = "UTC"
        order = self._create_engagement()
        values = order.sudo()._prepare_kickoff_values(self.manager)
        self.assertEqual(values["start"], datetime(2031, 3, 6, 9))
        self.env["calendar.event"].create(
            {
                "name": "Elsewhere",
                "start": datetime(2031, 3, 6, 9, 30),
                "stop": datetime(2031, 3, 6, 11),
                "partner_ids": [Command.set(self.approver.ids)],
            }
        )
        values = order.sudo()._prepare_kickoff_values(self.manager)
        self.assertEqual(values["start"], datetime(2031, 3, 6, 11))

    @freeze_time(f"{MONDAY} 08:00:00")
    def test_the_hours_are_those_of_who_leads_it(self):
        self.manager.tz = "America/New_York"
        self.company.resource_calendar_id.tz = "UTC"
        order = self._create_engagement()
        values = order.sudo()._prepare_kickoff_values(self.manager)
        self.assertEqual(values["start"], datetime(2031, 3, 6, 14))

    def test_it_is_proposed_by_itself_unless_the_company_wishes_otherwise(self):
        self.assertFalse(self._create_engagement()._get_kickoff())
        default = self.env["res.company"].default_get(["milestone_kickoff_meeting"])
        self.company.write(default)
        order = self._create_engagement()
        event = order._get_kickoff()
        self.assertEqual(event.user_id, self.manager)
        self.assertEqual(event.partner_ids, order.milestone_contact_ids.partner_id)
        mails = self.env["mail.mail"].search([("model", "=", "calendar.event"), ("res_id", "=", event.id)])
        self.assertEqual(mails.recipient_ids, event.partner_ids - self.manager.partner_id)
        self.assertEqual(set(mails.mapped("state")), {"outgoing"})
        order._action_cancel()
        order.action_draft()
        order.action_confirm()
        self.assertEqual(order._get_kickoff(), event)

    def test_a_manager_who_is_named_later_is_invited(self):
        self.template.user_id = False
        self.company.milestone_kickoff_meeting = "automatic"
        order = self._create_engagement()
        event, project = order._get_kickoff(), order.milestone_ids.project_id
        self.assertEqual(event.user_id, self.users["salesperson"], "somebody invites")
        self.assertNotIn(self.manager.partner_id, event.partner_ids)
        guests = event.partner_ids
        project.user_id = self.manager
        self.assertEqual(event.partner_ids, guests | self.manager.partner_id)
        mails = self.env["mail.mail"].search([("model", "=", "calendar.event"), ("res_id", "=", event.id)])
        self.assertIn(self.manager.partner_id, mails.recipient_ids)
        event.write({"start": "2020-01-02 09:00:00", "stop": "2020-01-02 10:00:00"})
        project.user_id = self.users["project_user"]
        self.assertEqual(event.partner_ids, guests | self.manager.partner_id, "it was held already")

    def test_the_agenda_is_in_the_language_of_the_client(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_company.lang = "fr_FR"
        self.env.ref("milestone_billing.project_role_manager").with_context(lang="fr_FR").name = "Chef de projet"
        order = self._create_engagement()
        values = order.sudo()._prepare_kickoff_values(self.manager)
        self.assertIn("Chef de projet", values["description"])

    # -- the rhythm ----------------------------------------------------------------------------------

    def _run_reminders(self):
        with self._cron_mode() as env:
            env["sale.order"]._cron_remind_updates()
        self.env.invalidate_all()

    def _get_reminders(self, order):
        return order.milestone_ids.project_id.activity_search(["milestone_billing.mail_activity_update_due"])

    def test_the_manager_is_reminded_in_the_rhythm(self):
        with freeze_time(f"{MONDAY} 08:00:00"):
            order = self._create_engagement()
            self.assertEqual(order.milestone_update_next_date, date(2031, 3, 10))
            self._run_reminders()
            self.assertFalse(self._get_reminders(order))
        with freeze_time("2031-03-10 08:00:00"):
            self._run_reminders()
            reminder = self._get_reminders(order)
            self.assertEqual(reminder.user_id, self.manager)
            self.assertIn("Approver", reminder.note)
            self.assertEqual(order.milestone_update_next_date, date(2031, 3, 17))
        with freeze_time("2031-03-17 08:00:00"):
            self._run_reminders()
            self.assertEqual(self._get_reminders(order), reminder, "one reminder is enough")
            self.assertEqual(order.milestone_update_next_date, date(2031, 3, 24))

    @freeze_time("2031-03-01 08:00:00")
    def test_another_rhythm_sets_the_next_date(self):
        order = self._create_engagement(milestone_update_rhythm="none")
        self.assertFalse(order.milestone_update_next_date)
        order.milestone_update_rhythm = "biweekly"
        self.assertEqual(order.milestone_update_next_date, date(2031, 3, 17), "the 15th is a Saturday")
        order.milestone_update_rhythm = "monthly"
        self.assertEqual(order.milestone_update_next_date, date(2031, 4, 1))
        order.milestone_update_rhythm = "none"
        self.assertFalse(order.milestone_update_next_date)

    def test_a_contract_that_is_done_needs_no_updates(self):
        with freeze_time(f"{MONDAY} 08:00:00"):
            order = self._create_engagement()
            self._approve(order.milestone_ids)
        with freeze_time("2031-03-20 08:00:00"):
            self._run_reminders()
        self.assertFalse(self._get_reminders(order))
        self.assertFalse(order.milestone_update_next_date)


@tagged("post_install", "-at_install")
class TestKickoffPortal(KickoffCommon, HttpCase):
    """The page of the order introduces the team."""

    def test_the_page_of_the_order_introduces_the_team(self):
        order = self._create_engagement(confirm=False)
        order.with_user(SUPERUSER_ID)._complete_team()
        url = order._get_share_url()
        self.manager.partner_id.write({"phone": "+1 555 0100", "street": "Private Road 5"})
        self.assertNotIn("milestone_team", self.url_open(url).text, "only once it is agreed")
        order.action_confirm()
        page = self.url_open(url).text
        self.assertIn("milestone_team", page)
        self.assertIn(self.manager.email, page)
        self.assertIn("+1 555 0100", page)
        self.assertNotIn("Private Road 5", page)
        self.assertNotIn("Kickoff meeting", page)
        self.manager.tz = "America/New_York"
        order.sudo()._propose_kickoff(self.manager).start = datetime(2031, 3, 6, 15)
        page = self.url_open(url).text
        self.assertIn("10:00", page)
        self.assertIn("America/New_York", page)
