from odoo.tests import tagged

from .common import MilestoneCommon

CHANGES = [("state", "Approved"), ("billing_state", "To Invoice")]


@tagged("post_install", "-at_install")
class TestTracking(MilestoneCommon):
    """What the chatter of each milestone says does not depend on how many change together."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contract = cls._create_contract([100.0] * 12)
        cls.milestones = cls.contract.milestone_ids.with_context(tracking_disable=False, mail_notrack=False)
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    def _change(self, milestones, **values):
        """Return the queries that it takes to note a change."""
        milestones._write_protected(values)
        self.env.flush_all()
        before = self.env.cr.sql_log_count
        self.env.cr.precommit.run()
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def _get_changes(self, milestone):
        return [
            (value.field_id.name, value.new_value_char)
            for value in milestone.message_ids[:1].tracking_value_ids.sorted("id")
        ]

    def test_each_milestone_has_its_own_note(self):
        first, second, third = self.milestones[:3]
        counts = [len(milestone.message_ids) for milestone in self.milestones]
        (first | second)._write_protected({"state": "approved"})
        second._track_set_log_message("Because.")
        third._message_log(body="Something else")
        self._change(self.milestones[:0])
        self.assertEqual(
            [len(milestone.message_ids) - count for milestone, count in zip(self.milestones, counts, strict=True)],
            [1, 1, 1] + [0] * 9,
        )
        self.assertEqual(self._get_changes(first), CHANGES)
        self.assertEqual(self._get_changes(second), CHANGES)
        self.assertFalse(self._get_changes(third))
        self.assertIn("Because.", second.message_ids[0].body)
        self.assertEqual(first.message_ids[0].author_id, self.env.user.partner_id)
        self.assertTrue(first.message_ids[0].is_internal)

    def test_a_note_costs_no_query_of_its_own(self):
        self._change(self.milestones[:1], state="approved")  # fills caches
        few = self._change(self.milestones[1:3], state="approved")
        many = self._change(self.milestones[3:], state="approved")
        self.assertEqual(many, few)
        for milestone in self.milestones:
            self.assertEqual(self._get_changes(milestone), CHANGES)

    def test_no_call_can_swallow_notes(self):
        milestone = self.milestones[0]
        context = {"milestone_tracked_notes": [], "milestone_notes_to_come": []}
        count = len(milestone.message_ids)
        milestone.with_context(**context)._message_log(body="A note")
        milestone.with_context(**context)._post_review_note("Another")
        milestone.with_context(**context)._write_protected({"state": "approved"})
        self._change(milestone.browse())
        self.assertEqual(len(milestone.message_ids), count + 3)


@tagged("post_install", "-at_install")
class TestBillingStatements(MilestoneCommon):
    def test_statements_count_the_milestones_of_each_order(self):
        first = self._create_contract([100.0, 200.0, 300.0])
        second = self._create_contract([400.0])
        milestones = first.milestone_ids[2] | second.milestone_ids | first.milestone_ids[0]
        self.assertEqual(
            milestones._get_billing_statements(),
            [
                f"Milestone 3 of 3 of {first.name}: {first.milestone_ids[2].name}",
                f"Milestone 1 of 1 of {second.name}: {second.milestone_ids.name}",
                f"Milestone 1 of 3 of {first.name}: {first.milestone_ids[0].name}",
            ],
        )

    def test_a_cancelled_milestone_has_no_place_among_the_others(self):
        milestones = self._create_contract([100.0, 200.0, 300.0]).milestone_ids
        milestones[0]._write_protected({"state": "cancelled"})
        cancelled, second, third = milestones._get_billing_statements()
        self.assertEqual(cancelled, f"Milestone of {milestones.order_id.name}: {milestones[0].name}")
        self.assertIn("Milestone 1 of 2 of", second)
        self.assertIn("Milestone 2 of 2 of", third)
