from datetime import date, datetime
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import freeze_time, tagged
from odoo.tools import mute_logger

from .common import MilestoneCommon

MONDAY = "2031-03-03"


def milestone(name, due, *deliverables, **values):
    return {
        "name": name,
        "amount_untaxed": 100.0,
        "contract_date": due,
        "deliverable_ids": [Command.create({"name": deliverable}) for deliverable in deliverables],
        **values,
    }


@tagged("post_install", "-at_install")
@freeze_time(f"{MONDAY} 08:00:00")
class TestKickoffTasks(MilestoneCommon):
    """Tasks come with the turn of their milestone, and their deadlines before its contract date."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write({"milestone_create_project": True, "milestone_lead_days": 3})

    def _create_plan(self, **values):
        plan = [
            milestone("Design", "2031-03-17", "Sketch", "Model"),
            milestone("Build", "2031-04-14", "House", "Garden"),
            milestone("Handover", "2031-05-12", "Keys"),
        ]
        return self._create_contract(plan, milestone_create_project=True, **values)

    def _run_cron(self):
        with self._cron_mode() as env:
            env["sale.milestone"]._cron_create_next_tasks()
        self.env.invalidate_all()

    def _get_staffed(self, order):
        return order.milestone_ids.filtered("deliverable_ids.task_id").mapped("name")

    def _get_days(self, tasks):
        return [task.date_deadline and task.date_deadline.date() for task in tasks]

    # -- which ---------------------------------------------------------------------------------------

    def test_the_confirmation_makes_the_tasks_of_the_first_milestone_and_plans_the_others(self):
        order = self._create_plan()
        self.assertEqual(self._get_staffed(order), ["Design"])
        self.assertEqual(len(order.milestone_ids.project_milestone_id), 3)
        self.assertEqual(len(order.milestone_ids.project_id.task_ids), 2)

    def test_the_approval_makes_the_tasks_of_the_next_one(self):
        order = self._create_plan()
        design, build, handover = order.milestone_ids
        self._approve(design)
        self.assertEqual(self._get_staffed(order), ["Design"], "the client does not wait for tasks")
        self._run_cron()
        self.assertEqual(self._get_staffed(order), ["Design", "Build"])
        self.assertFalse(design.next_tasks_queued)
        tasks = build.deliverable_ids.task_id
        self._run_cron()
        self.assertEqual(build.deliverable_ids.task_id, tasks)
        self._approve(build)
        self._run_cron()
        self.assertTrue(handover.deliverable_ids.task_id)

    def test_an_approval_out_of_turn_makes_no_tasks(self):
        order = self._create_plan()
        self._approve(order.milestone_ids[1])
        self._run_cron()
        self.assertEqual(self._get_staffed(order), ["Design", "Build"])  # Build has its tasks since it was started
        self.assertFalse(order.milestone_ids[2].deliverable_ids.task_id)

    def test_with_dependencies_everything_that_may_start_gets_tasks(self):
        order = self._create_plan(confirm=False)
        design, build, handover = order.milestone_ids
        handover.predecessor_ids = design + build
        order.action_confirm()
        self.assertEqual(self._get_staffed(order), ["Design", "Build"])
        self._approve(design)
        self._run_cron()
        self.assertFalse(handover.deliverable_ids.task_id)
        self._approve(build)
        self._run_cron()
        self.assertTrue(handover.deliverable_ids.task_id)

    def test_a_failure_leaves_the_approval_and_tells_the_manager(self):
        order = self._create_plan()
        design, build, _handover = order.milestone_ids
        manager = self.users["project_manager"]
        design.project_id.user_id = manager
        self._approve(design)
        broken = patch.object(
            self.env.registry["project.project"], "_create_deliverable_tasks", side_effect=UserError("No stage")
        )
        with broken, mute_logger("odoo.addons.milestone_billing.tools.attempt"):
            self._run_cron()
        self.assertEqual(design.state, "approved")
        self.assertFalse(build.deliverable_ids.task_id)
        self.assertEqual(build.activity_ids.user_id, manager)
        self.assertIn("No stage", build.activity_ids.note)
        self.assertFalse(design.next_tasks_queued, "what fails is not tried for ever")
        build.with_user(manager).action_create_tasks()
        self.assertTrue(build.deliverable_ids.task_id)

    def test_the_button_makes_them_early(self):
        order = self._create_plan()
        handover = order.milestone_ids[2]
        self.assertTrue(handover.can_create_tasks)
        handover.with_user(self.users["project_user"]).action_create_tasks()
        self.assertEqual(handover.deliverable_ids.task_id.milestone_id, handover.project_milestone_id)
        self.assertFalse(handover.can_create_tasks)
        with self.assertRefused("has its task already"):
            handover.action_create_tasks()

    def test_the_button_is_refused_where_there_is_nothing_to_do(self):
        quotation = self._create_plan(confirm=False)
        with self.assertRefused("once the order is confirmed"):
            quotation.milestone_ids[0].action_create_tasks()
        loose = self._create_contract([10.0], milestone_create_project=False)
        with self.assertRefused("belongs to no project"):
            loose.milestone_ids.action_create_tasks()
        order = self._create_plan()
        self._approve(order.milestone_ids[0])
        with self.assertRefused("is settled"):
            order.milestone_ids[0].action_create_tasks()
        for role in ("employee", "invoicing", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                order.milestone_ids[1].with_user(self.users[role]).action_create_tasks()
        self.assertFalse(order.milestone_ids[1].deliverable_ids.task_id)

    def test_the_queue_is_not_written_by_hand(self):
        order = self._create_plan()
        with self.assertRaises(AccessError):
            order.milestone_ids[0].next_tasks_queued = True

    def test_the_start_makes_what_is_missing(self):
        order = self._create_plan()
        order.milestone_ids[1].with_user(self.users["project_user"]).action_start()
        self.assertEqual(self._get_staffed(order), ["Design", "Build"])

    def test_deliverables_that_come_later_get_a_task_with_the_others(self):
        order = self._create_plan()
        design, build, _handover = order.milestone_ids
        design.deliverable_ids = [Command.create({"name": "Film"})]
        build.deliverable_ids = [Command.create({"name": "Pool"})]
        self.assertEqual(design.deliverable_ids.task_id.mapped("name"), ["Sketch", "Model", "Film"])
        self.assertFalse(build.deliverable_ids.task_id)

    # -- when ----------------------------------------------------------------------------------------

    def test_deadlines_are_laid_out_before_the_contract_date_on_working_days(self):
        order = self._create_plan()
        design, build, _handover = order.milestone_ids
        # 3 to 14 March (a Friday, three days before the 17th) has ten working days
        self.assertEqual(self._get_days(design.deliverable_ids.task_id), [date(2031, 3, 7), date(2031, 3, 14)])
        build.action_create_tasks()
        # from the 17th, when the design is due, to 11 April: twenty
        self.assertEqual(self._get_days(build.deliverable_ids.task_id), [date(2031, 3, 28), date(2031, 4, 11)])

    def test_work_begins_today_when_what_comes_before_is_approved(self):
        order = self._create_plan()
        design, build, _handover = order.milestone_ids
        self._approve(design)
        self._run_cron()
        days = self._get_days(build.deliverable_ids.task_id)
        self.assertEqual(days, [date(2031, 3, 21), date(2031, 4, 11)])

    def test_public_holidays_are_no_working_days(self):
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "calendar_id": self.company.resource_calendar_id.id,
                "company_id": self.company.id,
                "date_from": datetime(2031, 3, 14, 0),
                "date_to": datetime(2031, 3, 14, 23),
            }
        )
        order = self._create_plan()
        self.assertEqual(self._get_days(order.milestone_ids[0].deliverable_ids.task_id)[-1], date(2031, 3, 13))

    def test_a_company_without_working_hours_works_from_monday_to_friday(self):
        self.company.resource_calendar_id = False
        order = self._create_plan()
        self.assertEqual(
            self._get_days(order.milestone_ids[0].deliverable_ids.task_id), [date(2031, 3, 7), date(2031, 3, 14)]
        )

    def test_short_time_is_shared_with_the_review(self):
        self.company.milestone_lead_days = 30
        order = self._create_contract([milestone("Rush", "2031-03-07", "One", "Two", "Three", "Four")])
        days = self._get_days(order.milestone_ids.deliverable_ids.task_id)
        self.assertEqual(days, [date(2031, 3, 3), date(2031, 3, 4), date(2031, 3, 5), date(2031, 3, 5)])

    def test_no_deadline_without_a_contract_date_or_when_it_is_past(self):
        for due in (False, "2031-03-02"):
            with self.subTest(due=due):
                order = self._create_contract([milestone("Late", due, "Report")])
                self.assertEqual(self._get_days(order.milestone_ids.deliverable_ids.task_id), [False])

    def test_the_last_day_is_never_after_the_contract_date(self):
        for due in (MONDAY, "2031-03-04", "2031-03-08", "2031-03-09", "2031-03-10"):
            with self.subTest(due=due):
                order = self._create_contract([milestone("Soon", due, *(f"Part {number}" for number in range(7)))])
                days = self._get_days(order.milestone_ids.deliverable_ids.task_id)
                self.assertLessEqual(max(days), date.fromisoformat(due))
                self.assertGreaterEqual(min(days), date.fromisoformat(MONDAY))
                self.assertEqual(days, sorted(days))

    @freeze_time("2031-03-08 08:00:00")
    def test_what_is_due_on_a_weekend_is_due_then(self):
        order = self._create_contract([milestone("Soon", "2031-03-09", "Report")])
        self.assertEqual(self._get_days(order.milestone_ids.deliverable_ids.task_id), [date(2031, 3, 9)])

    def test_a_contract_date_that_comes_nearer_takes_its_tasks_along(self):
        order = self._create_plan()
        design = order.milestone_ids[0]
        sketch, model = design.deliverable_ids.task_id
        self._change_agreed(design, {"contract_date": "2031-04-01"})
        self.assertEqual(self._get_days(sketch + model), [date(2031, 3, 7), date(2031, 3, 14)])
        self._change_agreed(design, {"contract_date": "2031-03-10"})
        self.assertEqual(self._get_days(sketch + model), [date(2031, 3, 7), date(2031, 3, 7)])
        model.date_deadline = datetime(2031, 4, 30)
        model.state = "1_done"
        self._change_agreed(design, {"contract_date": "2031-03-11"})
        self.assertEqual(self._get_days(model), [date(2031, 4, 30)], "what is done stays as it was")

    def test_a_far_contract_date_has_its_deadlines(self):
        for due, last in (("3027-12-20", date(3027, 12, 17)), ("9999-12-31", date(9999, 12, 28))):
            with self.subTest(due=due):
                order = self._create_contract([milestone("Far", due, "Sketch", "Model")], milestone_create_project=True)
                first, second = self._get_days(order.milestone_ids.deliverable_ids.task_id)
                self.assertEqual(second, last, "three days are kept for the review")
                self.assertTrue(date.fromisoformat(MONDAY) < first < second)
                self.assertLess(first.weekday(), 5)
        self.company.milestone_lead_days = 0
        order = self._create_contract([milestone("Last", "9999-12-31", "Sketch")])
        self.assertEqual(self._get_days(order.milestone_ids.deliverable_ids.task_id), [date(9999, 12, 29)])

    def test_no_days_are_laid_out_for_no_tasks(self):
        order = self._create_plan(confirm=False)
        with patch.object(self.env.registry["res.company"], "_get_working_days") as working_days:
            order.milestone_ids[2].contract_date = "3027-12-20"
        working_days.assert_not_called()

    def test_the_review_period_is_what_is_kept_for_the_review(self):
        self.company.milestone_review_days = 12
        self.assertEqual(self.company.milestone_lead_days, 12)

    # -- the project ---------------------------------------------------------------------------------

    def test_the_project_is_made_from_the_template_of_the_order(self):
        template = self.env["project.project"].create(
            {
                "name": "Roll-out",
                "is_template": True,
                "user_id": self.users["project_manager"].id,
                "task_ids": [Command.create({"name": "Risk log"})],
            }
        )
        order = self._create_plan(milestone_project_template_id=template.id)
        project = order.milestone_ids.project_id
        self.assertEqual(project.name, f"{order.name} - Roll-out")
        self.assertFalse(project.is_template)
        self.assertEqual(project.user_id, self.users["project_manager"])
        self.assertEqual(project.partner_id, order.partner_id)
        self.assertEqual(project, order.project_ids)
        self.assertEqual(set(project.task_ids.mapped("name")), {"Risk log", "Sketch", "Model"})
        self.assertTrue(project.type_ids)
        self.assertEqual(len(template.task_ids), 1)
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_the_template_comes_from_the_quotation_template_or_the_company(self):
        ours, special = self.env["project.project"].create(
            [{"name": name, "is_template": True} for name in ("Ours", "Special")]
        )
        self.company.milestone_project_template_id = ours
        self.assertEqual(self._create_plan(confirm=False).milestone_project_template_id, ours)
        quotation_template = self.env["sale.order.template"].create(
            {"name": "Offer", "milestone_project_template_id": special.id}
        )
        order = self._create_plan(confirm=False, sale_order_template_id=quotation_template.id)
        self.assertEqual(order.milestone_project_template_id, special)

    def test_an_archived_template_is_not_used(self):
        template = self.env["project.project"].create({"name": "Old", "is_template": True, "active": False})
        order = self._create_plan(milestone_project_template_id=template.id)
        self.assertNotIn("Old", order.milestone_ids.project_id.name)
