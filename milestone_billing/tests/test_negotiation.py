from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .proposal_common import ProposalCommon


@tagged("post_install", "-at_install")
class TestNegotiation(ProposalCommon):
    """The client asks for modifications; the salesperson answers with a revision, or closes it."""

    def _ask(self, text="Two weeks earlier, please."):
        return self.order.sudo()._ask_for_modifications(text, self.approver)

    def _get_activities(self):
        kind = self.env.ref("milestone_billing.mail_activity_modifications")
        return self.order.activity_ids.filtered(lambda activity: activity.activity_type_id == kind)

    def test_asking_is_a_state_a_message_of_the_client_and_an_activity(self):
        self._send()
        message = self._ask("Line one\n<script>alert(1)</script>")
        self.assertTrue(self.order.milestone_negotiation)
        self.assertEqual(self.order.milestone_negotiation_note, "Line one\n<script>alert(1)</script>")
        self.assertEqual(message.author_id, self.approver)
        self.assertNotIn("<script", message.body)
        self.assertIn("&lt;script", message.body)
        activity = self._get_activities()
        self.assertEqual(activity.user_id, self.salesperson)
        self.assertNotIn("<script", activity.note)

    def test_the_salesperson_gets_one_mail(self):
        self.order.message_subscribe(self.salesperson.partner_id.ids)
        self._send()
        before = self.env["mail.notification"].search_count([("res_partner_id", "=", self.salesperson.partner_id.id)])
        self._ask()
        told = self.env["mail.notification"].search_count([("res_partner_id", "=", self.salesperson.partner_id.id)])
        self.assertEqual(told - before, 1)

    def test_asking_again_makes_no_second_activity(self):
        self._send()
        self._ask("First")
        self._ask("Second")
        self.assertEqual(len(self._get_activities()), 1)
        self.assertEqual(self.order.milestone_negotiation_note, "Second")

    def test_without_a_salesperson_somebody_gets_the_activity(self):
        self._send()
        self.order.user_id = False
        self._ask()
        self.assertTrue(self._get_activities().user_id._is_internal())

    def test_a_new_revision_ends_it_and_keeps_what_was_asked_for(self):
        self._send()
        self._ask("Earlier,\nplease")
        self._send()
        self.assertTrue(self.order.milestone_negotiation, "the same again is no answer")
        self.design.amount_untaxed = 900.0
        revision = self._send()
        self.assertFalse(self.order.milestone_negotiation or self.order.milestone_negotiation_note)
        self.assertFalse(self._get_activities())
        self.assertEqual(revision.note, "Earlier, please")

    def test_the_salesperson_closes_it_and_nobody_else(self):
        self._send()
        self._ask()
        with self.assertRaises(AccessError):
            self.order.with_user(self.users["employee"]).action_close_negotiation()
        with self.assertRaises(AccessError):
            self.order.with_user(self.users["project_manager"]).action_close_negotiation()
        self.order.with_user(self.salesperson).action_close_negotiation()
        self.assertFalse(self.order.milestone_negotiation or self._get_activities())

    def test_confirmation_and_cancellation_end_it(self):
        for end in ("action_confirm", "_action_cancel"):
            with self.subTest(end=end), self.env.cr.savepoint() as savepoint:
                self._send()
                self._ask()
                getattr(self.order, end)()
                self.assertFalse(self.order.milestone_negotiation or self._get_activities())
                savepoint.rollback()
            self.env.invalidate_all()

    def test_when_it_can_be_asked_for(self):
        self._send()
        self.assertTrue(self.order._can_ask_for_modifications())
        self.design.amount_untaxed = 900.0
        self.assertTrue(self.order._can_ask_for_modifications(), "also while it is being revised")
        self.order.validity_date = fields.Date.today() - timedelta(days=1)
        self.env.invalidate_all()
        self.assertFalse(self.order._can_ask_for_modifications())
        self.order.validity_date = False
        self.env.invalidate_all()
        self.order.signature = b"R0lGODlhAQABAAD/ACwAAAAAAQABAAACADs="
        self.assertFalse(self.order._can_ask_for_modifications(), "signed already")
        self.order.signature = False
        self.order.action_confirm()
        self.assertFalse(self.order._can_ask_for_modifications())

    def test_a_copy_is_not_in_negotiation(self):
        self._send()
        self._ask()
        copy = self.order.copy()
        self.assertFalse(copy.milestone_negotiation or copy.milestone_negotiation_note)

    def test_quotations_in_negotiation_are_found(self):
        self._send()
        self._ask()
        found = self.env["sale.order"].search([("milestone_negotiation", "=", True)])
        self.assertIn(self.order, found)
