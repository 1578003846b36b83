from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestHold(MilestoneCommon):
    """A milestone on hold is not billed, by whatever way, and everybody sees why."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([100.0, 50.0], milestone_invoice_policy="draft", milestone_create_project=True)
        cls.held, cls.free = cls.order.milestone_ids

    def _hold(self, milestone=None, role="invoicing", reason="Dispute about the scope"):
        (milestone or self.held).with_user(self.users[role]).action_hold(reason)

    # -- reason and record ----------------------------------------------------------------------------

    def test_a_dialog_asks_for_the_reason(self):
        for role in ("invoicing", "sale_manager", "project_manager"):
            with self.subTest(role=role):
                user = self.users[role]
                action = self.held.with_user(user).action_hold()
                self.assertFalse(self.held.on_hold)
                dialog = Form(self.env[action["res_model"]].with_user(user).with_context(**action["context"]))
                dialog.reason = f"Asked by {role}"
                dialog.save().action_confirm()
                self.assertRecordValues(
                    self.held, [{"on_hold": True, "hold_reason": f"Asked by {role}", "held_by_id": user.id}]
                )
                self.assertTrue(self.held.held_on)
                self.held.with_user(user).action_release()

    def test_the_reason_is_cleared_on_release_and_kept_in_the_chatter(self):
        self._hold()
        self.assertEqual(self.order.milestone_hold_note, "Milestone 1: Dispute about the scope")
        self.held.with_user(self.users["sale_manager"]).action_release()
        self.assertRecordValues(
            self.held, [{"on_hold": False, "hold_reason": False, "held_by_id": False, "held_on": False}]
        )
        self.assertFalse(self.order.milestone_hold_note)
        notes = "".join(self.held.message_ids.mapped("body"))
        self.assertIn("Put on hold: Dispute about the scope", notes)
        self.assertIn("Hold lifted. The reason was: Dispute about the scope", notes)

    def test_a_hold_is_not_for_everybody_and_not_for_a_write(self):
        for role in ("salesperson", "sale_all", "project_user", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                self._hold(role=role)
        for name in ("on_hold", "hold_reason", "held_by_id", "held_on"):
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.held.sudo().write({name: False})

    def test_the_reason_stays_inside(self):
        fields_of_portal = self.env["sale.milestone"].with_user(self.env.ref("base.public_user")).fields_get()
        for name in ("hold_reason", "held_by_id", "held_on", "early_reason", "date_shift"):
            self.assertNotIn(name, fields_of_portal)

    def test_a_copy_is_not_on_hold(self):
        self._hold()
        copy = self.order.copy().milestone_ids[0]
        self.assertFalse(copy.on_hold or copy.hold_reason)

    def test_what_is_invoiced_or_cancelled_is_not_held(self):
        self._bill(self.free).action_post()
        with self.assertRefused("Milestone 2 is invoiced: a hold would change nothing"):
            self._hold(self.free)
        other = self._create_contract([10.0])
        other._action_cancel()
        with self.assertRefused("is cancelled"):
            self._hold(other.milestone_ids)

    # -- every way to an invoice ------------------------------------------------------------------------

    def test_the_queue_and_the_button_leave_it_out(self):
        self._hold()
        self._approve(self.order.milestone_ids)
        self._run_queue()
        self.assertEqual(self.held.billing_state, "to_invoice")
        self.assertEqual(self.free.billing_state, "draft")
        self.assertFalse(self.held.invoice_error)
        with self.assertRefused(r"it is on hold \(Dispute about the scope\)"):
            self.held.action_create_invoices()
        self.held.action_release()
        self._run_queue()
        self.assertEqual(self.held.billing_state, "draft")

    def test_the_native_wizard_leaves_it_out(self):
        self._approve(self.order.milestone_ids)
        self._hold()
        wizard = self.env["sale.advance.payment.inv"].with_context(active_model="sale.order", active_ids=self.order.ids)
        wizard.create({"advance_payment_method": "delivered"}).create_invoices()
        self.assertEqual(self.order.invoice_ids.billing_milestone_ids, self.free)

    def test_a_consolidated_invoice_leaves_it_out(self):
        other = self._create_contract([30.0], milestone_invoice_policy="draft")
        self.company.milestone_invoice_grouping = "customer"
        self._hold()
        self._approve(self.order.milestone_ids | other.milestone_ids)
        self._run_queue()
        invoice = (self.order | other).invoice_ids
        self.assertEqual(len(invoice), 1)
        self.assertEqual(invoice.billing_milestone_ids, self.free | other.milestone_ids)

    def test_a_draft_that_was_there_before_is_not_posted(self):
        invoice = self._bill(self.held)
        self.assertEqual(invoice.state, "draft")
        self._hold()
        with self.assertRefused("Milestone 1 of .* is on hold: Dispute about the scope"):
            invoice.with_user(self.users["accountant"]).action_post()
        self.assertEqual(invoice.state, "draft")
        self.held.action_release()
        invoice.action_post()
        self.assertEqual(self.held.billing_state, "invoiced")

    def test_one_held_milestone_keeps_the_whole_draft_and_can_be_taken_off_it(self):
        self.company.milestone_invoice_grouping = "order"
        invoice = self._bill(self.order.milestone_ids)
        self.assertEqual(len(invoice), 1)
        self._hold()
        with self.assertRefused("take the milestone off the invoice"):
            invoice.action_post()
        invoice.invoice_line_ids.filtered(lambda line: line.billing_milestone_id == self.held).unlink()
        invoice.action_post()
        self.assertEqual((self.held.billing_state, self.free.billing_state), ("to_invoice", "invoiced"))

    def test_a_line_typed_by_hand_does_not_bill_it(self):
        self._approve(self.order.milestone_ids)
        self._hold()
        self._run_queue()
        draft = self.free.invoice_line_ids.move_id
        line = self.held.order_line_ids
        with self.assertRefused("is on hold"):
            draft.write({"invoice_line_ids": [Command.create(line._prepare_invoice_line(quantity=1.0))]})

    def test_a_credit_note_is_never_held(self):
        invoice = self._bill(self.held)
        invoice.action_post()
        draft = self._credit(invoice, post=False)
        self.held._write_protected({"on_hold": True, "hold_reason": "Late"})
        draft.action_post()
        self.assertEqual(self.held.billing_state, "credited")

    def test_a_reset_invoice_waits_for_the_release(self):
        invoice = self._bill(self.held)
        invoice.action_post()
        invoice.button_draft()
        self._hold()
        with self.assertRaises(UserError):
            invoice.action_post()
