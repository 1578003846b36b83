from datetime import date, timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestDependencies(MilestoneCommon):
    """What follows what: no circles, nothing presented too early, dates that move along."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        start = date(2030, 1, 1)
        names = ("Design", "Build", "Test", "Aside")
        cls.order = cls._create_contract(
            [
                {"name": name, "amount_untaxed": 100.0, "contract_date": start + timedelta(days=30 * number)}
                for number, name in enumerate(names)
            ],
            confirm=False,
        )
        cls.design, cls.build, cls.test, cls.aside = cls.order.milestone_ids.sorted("sequence")
        cls.build.predecessor_ids = cls.design
        cls.test.predecessor_ids = cls.build

    def _user(self, milestone, role):
        return milestone.with_user(self.users[role])

    # -- the graph ------------------------------------------------------------------------------------

    def test_a_circle_is_refused_and_named(self):
        with self.assertRefused("wait for each other: Design → Build → Test → Design", ValidationError):
            self.design.predecessor_ids = self.test
        with self.assertRefused("wait for each other: Aside → Aside", ValidationError):
            self.aside.predecessor_ids = self.aside
        self.test.predecessor_ids += self.design  # two ways to the same milestone are no circle
        self.assertEqual(self.test.predecessor_ids, self.build | self.design)

    def _follow(self, changes):
        """Choose in the form of the order what milestones, by their place, follow."""
        with Form(self.order.with_user(self.users["salesperson"])) as form:
            for number, predecessors in changes.items():
                with form.milestone_ids.edit(number) as line:
                    line.predecessor_ids.clear()
                    for predecessor in predecessors:
                        line.predecessor_ids.add(predecessor)

    def test_dependencies_are_turned_round_in_one_save(self):
        self._follow({0: self.build, 1: [], 2: self.design})
        self._follow({2: [], 1: self.test, 0: self.build})
        self.assertEqual((self.design.predecessor_ids, self.build.predecessor_ids), (self.build, self.test))
        with self.assertRefused("wait for each other: Test → Build → Design → Test", ValidationError):
            self._follow({2: self.design})
        with self.assertRefused("wait for each other", ValidationError):
            self.order.milestone_ids = [
                Command.update(self.design.id, {"predecessor_ids": [Command.set(self.aside.ids)]}),
                Command.update(self.aside.id, {"predecessor_ids": [Command.set(self.design.ids)]}),
            ]

    def test_milestones_of_another_order_are_refused(self):
        other = self._create_contract([10.0], confirm=False)
        with self.assertRefused("belongs to another one", ValidationError):
            self.design.predecessor_ids = other.milestone_ids

    def test_the_other_side_of_a_dependency_cannot_be_written(self):
        with self.assertRaises(AccessError):
            self.design.successor_ids = self.aside
        with self.assertRaises(AccessError):
            self.design.sudo().write({"successor_ids": [Command.unlink(self.build.id)]})
        self.assertEqual(self.design.successor_ids, self.build)

    def test_a_copy_has_the_same_dependencies_between_its_own_milestones(self):
        copy = self.order.copy()
        design, build, test, aside = copy.milestone_ids.sorted("sequence")
        self.assertFalse(design.predecessor_ids | aside.predecessor_ids)
        self.assertEqual(build.predecessor_ids, design)
        self.assertEqual(test.predecessor_ids, build)
        self.assertEqual(self.build.predecessor_ids, self.design)

    def test_dependencies_of_a_contract_are_frozen(self):
        before = self.order._prepare_contract_values()
        self.assertEqual([values.get("after") for values in before["milestones"]].count(None), 2)
        self.assertEqual(before["milestones"][1]["after"], self.design.ids)
        self.order.action_confirm()
        for role in ("salesperson", "sale_all", "project_manager", "sale_manager"):
            with self.subTest(role=role), self.assertRaises(UserError):
                self._user(self.build, role).predecessor_ids = False

    def test_dependencies_rest_while_the_milestone_is_reviewed(self):
        self.order.action_confirm()
        self._submit(self.aside)
        with self.assertRefused("under review"):
            self.aside.predecessor_ids = self.design

    # -- the gate ---------------------------------------------------------------------------------------

    def test_a_successor_is_not_submitted_before_its_predecessor_is_approved(self):
        self.order.action_confirm()
        self.build.action_start()
        self._show_work(self.build)
        self.assertEqual(self.build.waiting_for, "Design")
        with self.assertRefused("it follows Design, not approved yet"):
            self.build.action_submit()
        self._submit(self.design)
        with self.assertRefused("it follows Design, not approved yet"):
            self.build.action_submit()
        self._approve(self.design)
        self.assertFalse(self.build.waiting_for)
        self.build.action_submit()
        self.assertEqual(self.build.state, "submitted")

    def test_cancelled_predecessors_do_not_count(self):
        self.order.action_confirm()
        self.design._write_protected({"state": "cancelled"})
        self._submit(self.build)
        self.assertEqual(self.build.state, "submitted")

    def test_a_manager_allows_an_early_submission_with_a_reason(self):
        self.order.action_confirm()
        for role in ("salesperson", "sale_all", "project_user", "reviewer", "invoicing"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                self._user(self.build, role).action_allow_early("Hurry")
        build = self._user(self.build, "sale_manager")
        action = build.action_allow_early(" ")
        dialog = Form(self.env[action["res_model"]].with_user(build.env.user).with_context(**action["context"]))
        dialog.reason = "The client is in a hurry"
        dialog.save().action_confirm()
        self.assertRecordValues(
            self.build,
            [{"early_reason": "The client is in a hurry", "early_by_id": build.env.user.id, "is_blocked": False}],
        )
        self.assertIn("before Design is approved: The client is in a hurry", self.build.message_ids[0].body)
        self._submit(self.build)
        self.assertIn("The client is in a hurry", self.build.approval_id.snapshot)
        self.assertFalse(self.build.approval_id._verify_chain(self.build))

    def test_the_exception_is_made_for_what_was_open_then(self):
        self.order.action_confirm()
        self.build.action_allow_early("Agreed")
        self._change_agreed(self.build, {"predecessor_ids": [Command.link(self.aside.id)]})
        self.assertFalse(self.build.early_reason)
        self.assertTrue(self.build.is_blocked)
        with self.assertRefused("does not wait"):
            self.design.action_allow_early("Why not")

    def test_a_snapshot_without_an_exception_is_what_it_was(self):
        self.order.action_confirm()
        self.assertNotIn("early", self.build._prepare_snapshot_values())

    def test_what_is_ready_and_what_waits_can_be_searched(self):
        self.order.action_confirm()
        domain = [("order_id", "=", self.order.id)]
        search = self.env["sale.milestone"].search
        self.assertEqual(search([*domain, ("is_blocked", "=", True)]), self.build | self.test)
        self.assertEqual(search([*domain, ("is_blocked", "=", False)]), self.design | self.aside)
        self.build.action_allow_early("Agreed")
        self.assertEqual(search([*domain, ("is_blocked", "!=", False)]), self.test)

    # -- dates ------------------------------------------------------------------------------------------

    def test_a_moved_date_offers_to_shift_what_follows(self):
        with Form(self.order.with_user(self.users["salesperson"])) as form, form.milestone_ids.edit(0) as line:
            line.contract_date = date(2030, 1, 8)
        self.assertEqual(self.design.date_shift, 7)
        self.assertEqual(
            self.order.milestone_shift_offer, "Design moved by +7 days: 2 following milestones kept their dates."
        )
        action = self.order.with_user(self.users["salesperson"]).action_shift_milestones()
        dialogs = self.env[action["res_model"]].with_user(self.users["salesperson"]).with_context(**action["context"])
        wizard = Form(dialogs)
        self.assertEqual(wizard.days, 7)
        wizard.days = 8
        dates = [fields.Date.to_date(line["date_after"]) for line in wizard.line_ids._records]
        self.assertEqual(dates, [date(2030, 2, 8), date(2030, 3, 10)])
        wizard.days = 7
        wizard.save().action_confirm()
        dates = (self.order.milestone_ids.sorted("sequence")).mapped("contract_date")
        self.assertEqual(dates, [date(2030, 1, 8), date(2030, 2, 7), date(2030, 3, 9), date(2030, 4, 1)])
        self.assertFalse(self.order.milestone_shift_offer)

    def test_only_chosen_milestones_move(self):
        self.design.contract_date += timedelta(days=3)
        wizard = self.env["sale.milestone.shift"].create({"milestone_id": self.design.id})
        wizard.line_ids.filtered(lambda line: line.milestone_id == self.test).is_moved = False
        wizard.days = -2
        wizard.action_confirm()
        self.assertEqual(self.build.contract_date, date(2030, 1, 29))
        self.assertEqual(self.test.contract_date, date(2030, 3, 2))
        wizard.days = 0
        with self.assertRefused("by how many days"):
            wizard.action_confirm()

    def test_a_dialog_moves_nothing_but_what_follows(self):
        wizard = self.env["sale.milestone.shift"].create({"milestone_id": self.design.id, "days": 5})
        wizard.line_ids = [Command.clear(), Command.create({"milestone_id": self.aside.id})]
        with self.assertRefused("which milestones move"):
            wizard.action_confirm()

    def test_moves_add_up_until_somebody_decides(self):
        self.design.contract_date += timedelta(days=3)
        self.design.contract_date += timedelta(days=4)
        self.assertEqual(self.design.date_shift, 7)
        self.design.contract_date -= timedelta(days=7)
        self.assertFalse(self.design.date_shift)
        self.design.contract_date += timedelta(days=1)
        self.order.action_keep_milestones()
        self.assertFalse(self.design.date_shift)
        self.test.contract_date += timedelta(days=1)
        self.assertFalse(self.test.date_shift, "nothing follows")

    def test_dates_that_move_together_leave_nothing_to_shift(self):
        order = self.order.with_user(self.users["salesperson"])
        with Form(order) as form:
            for number in range(3):
                with form.milestone_ids.edit(number) as line:
                    line.contract_date = fields.Date.to_date(line.contract_date) + timedelta(days=7)
        self.assertFalse(order.milestone_shift_offer)

    def test_what_follows_the_last_that_moved_is_offered(self):
        self.aside.predecessor_ids = self.test
        with Form(self.order.with_user(self.users["salesperson"])) as form:
            for number in range(2):
                with form.milestone_ids.edit(number) as line:
                    line.contract_date = fields.Date.to_date(line.contract_date) + timedelta(days=7)
        self.assertEqual(
            self.order.milestone_shift_offer, "Build moved by +7 days: 2 following milestones kept their dates."
        )
        self.aside.predecessor_ids = self.design  # of two that follow, one is dated as well
        self.order.action_keep_milestones()
        with Form(self.order.with_user(self.users["salesperson"])) as form:
            for number in (0, 1, 2):
                with form.milestone_ids.edit(number) as line:
                    line.contract_date = fields.Date.to_date(line.contract_date) + timedelta(days=1)
        self.assertFalse(self.order.milestone_shift_offer)

    def test_moves_that_are_open_still_stay_so_when_all_moves_on(self):
        self.design.contract_date += timedelta(days=3)
        with Form(self.order.with_user(self.users["salesperson"])) as form:
            for number in range(3):
                with form.milestone_ids.edit(number) as line:
                    line.contract_date = fields.Date.to_date(line.contract_date) + timedelta(days=7)
        self.assertEqual(self.order.milestone_ids.mapped("date_shift"), [3, 0, 0, 0])

    def test_nothing_is_offered_when_no_milestone_follows_any_more(self):
        order = self.order.with_user(self.users["salesperson"])
        self.design.contract_date += timedelta(days=7)
        with Form(order) as form:
            form.milestone_ids.remove(2)
            form.milestone_ids.remove(1)
        self.assertFalse(order.milestone_shift_offer)
        with self.assertRefused("No contract date"):
            order.action_shift_milestones()
        self.aside.predecessor_ids = self.design
        self.assertFalse(order.milestone_shift_offer, "it moved before anything followed it")

    def test_a_plan_that_is_made_anew_leaves_nothing_to_shift(self):
        rows = [
            {
                "name": milestone.name,
                "milestone": milestone,
                "contract_date": milestone.contract_date + timedelta(days=7),
                "amount": 0.0,
            }
            for milestone in self.order.milestone_ids
        ]
        self.order._apply_milestone_plan(rows, whole=dict.fromkeys(self.order.order_line.filtered("product_id"), 0))
        self.assertFalse(any(self.order.milestone_ids.mapped("date_shift")))

    def test_nonsense_days_are_refused(self):
        for days in (0, 10**9, "7", 1.5):
            with self.subTest(days=days), self.assertRefused("whole days"):
                self.design.action_shift_successors(days)
        with self.assertRefused("No open milestone"):
            self.test.action_shift_successors(1)

    def test_the_dialog_is_not_disturbed_by_nonsense_days(self):
        dialogs = self.env["sale.milestone.shift"].with_user(self.users["salesperson"])
        wizard = Form(dialogs.with_context(default_milestone_id=self.design.id))
        for days in (2000000000, -2000000000, 3651):
            wizard.days = days
            self.assertEqual([line["date_after"] for line in wizard.line_ids._records], [False, False])
            shift = wizard.save()
            with self.subTest(days=days), self.assertRefused("by whole days, at most 3650"):
                shift.action_confirm()

    def test_dates_are_not_shifted_past_the_calendar(self):
        self.test.contract_date = date(9999, 12, 20)
        wizard = self.env["sale.milestone.shift"].create({"milestone_id": self.design.id, "days": 300})
        self.assertEqual(wizard.line_ids.mapped("date_after"), [date(2030, 11, 27), False])
        with self.assertRefused("Test would be due after the year 9999: shift by fewer days"):
            wizard.action_confirm()
        self.assertEqual(self.build.contract_date, date(2030, 1, 31))

    def test_agreed_dates_are_shifted_by_nobody(self):
        self.design.contract_date += timedelta(days=3)
        self.order.action_confirm()
        self.assertFalse(self.design.date_shift)
        with self.assertRefused("agreed with the client"):
            self._user(self.design, "salesperson").action_shift_successors(3)
        with self.assertRaises(AccessError):
            self._user(self.design, "invoicing").action_shift_successors(3)
        with self.assertRefused("change request"):
            self._user(self.design, "sale_manager").action_shift_successors(3)

    def test_a_date_before_that_of_a_predecessor_is_a_warning_and_no_error(self):
        self.assertFalse(self.order.milestone_date_warning)
        self.build.contract_date = date(2029, 12, 1)
        self.assertEqual(self.order.milestone_date_warning, "Build is due before Design, which it follows.")
        self.order.action_confirm()
        self.assertEqual(self.order.state, "sale")
