from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon
from .test_countersign import CountersignCommon


@tagged("post_install", "-at_install")
class TestContractGuards(MilestoneCommon):
    """A contract begins, ends and comes back by its buttons, and what it consists of changes by no other field."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 2000.0], lines=[{"product_id": cls.product_a.id}])
        cls.first, cls.second = cls.order.milestone_ids
        cls.line = cls.first.order_line_ids

    # -- the state -----------------------------------------------------------------------------------

    def test_nobody_writes_the_state_of_a_contract(self):
        for role in ("salesperson", "sale_manager"):
            order = self.order.with_user(self.users[role])
            for state in ("draft", "sent", "cancel"):
                with self.subTest(role=role, state=state), self.assertRefused("with the buttons of the order"):
                    order.write({"state": state})
        self.order._action_cancel()
        for state in ("draft", "sent", "sale"):
            with self.subTest(cancelled=True, state=state), self.assertRefused("with the buttons of the order"):
                self.order.write({"state": state})

    def test_the_scope_of_an_agreed_milestone_changes_with_a_note(self):
        user = self.users["salesperson"]
        milestone = self._create_contract([{"amount_untaxed": 10.0, "description": "<p>Ten <b>screens</b></p>"}])
        milestone = milestone.milestone_ids.with_user(user)
        known = milestone.message_ids
        milestone.description = "<p>One screen</p>"
        note = milestone.message_ids - known
        self.assertEqual((note.author_id, note.subtype_id), (user.partner_id, self.env.ref("mail.mt_note")))
        self.assertIn("Scope detailed after it was agreed with the client.", note.body)
        self.assertIn("<p>Ten <b>screens</b></p></blockquote>", note.body)
        milestone.write({"description": milestone.description, "name": milestone.name})
        self.assertEqual(milestone.message_ids, known | note, "saved again, it is the same")
        quotation = self._create_contract([{"amount_untaxed": 10.0, "description": "<p>Free</p>"}], confirm=False)
        free = quotation.milestone_ids
        known = free.message_ids
        free.description = "<p>As long as nobody agreed</p>"
        self.assertEqual(free.message_ids, known)

    def test_what_is_detailed_first_is_no_change_of_a_text(self):
        self.first.description = "<p>Ten screens</p>"
        self.assertIn("There was none.", self.first.message_ids[0].body)

    def test_a_change_request_leaves_its_own_note(self):
        line = {"milestone_id": self.first.id, "new_description": "<p>Two languages</p>"}
        request = self.env["sale.change.request"].create(
            {"order_id": self.order.id, "title": "More", "reason": "More", "line_ids": [Command.create(line)]}
        )
        request.action_submit()
        request._approve(self._evidence(request))
        self.assertEqual(self.first.description, "<p>Two languages</p>")
        self.assertNotIn("detailed", "".join(self.first.message_ids.mapped("body")))

    def test_nobody_writes_a_quotation_with_milestones_to_be_a_contract(self):
        quotation = self._create_contract([10.0], confirm=False)
        with self.assertRefused("with the buttons of the order"):
            quotation.with_user(self.users["salesperson"]).write({"state": "sale"})
        quotation.write({"state": "sent"})
        quotation.action_confirm()
        self.assertTrue(quotation.milestone_contract_hash)

    def test_the_mark_of_the_buttons_cannot_be_sent(self):
        for mark in (True, {"KEY": "milestone_order_transition"}, "OrderTransition"):
            with self.subTest(mark=mark), self.assertRefused("with the buttons of the order"):
                self.order.with_context(milestone_order_transition=mark).write({"state": "draft"})

    def test_orders_without_milestones_are_as_in_odoo(self):
        order = self.env["sale.order"].create({"partner_id": self.partner_a.id})
        order.write({"state": "sale", "amount_total": 5.0})
        order.write({"state": "draft"})
        self.assertEqual(order.state, "draft")

    # -- coming back ---------------------------------------------------------------------------------

    def _come_back(self):
        self._submit(self.first)
        self.first.action_withdraw()
        self.order._action_cancel()
        self.order.action_draft()

    def test_a_contract_with_evidence_comes_back_as_it_was_agreed(self):
        agreed = self.order.milestone_contract_hash
        self._come_back()
        self.assertEqual(self.order.state, "draft")
        self.assertEqual(set(self.order.milestone_ids.mapped("state")), {"draft"})
        for change in (
            lambda: self.line.write({"price_unit": 5.0}),
            lambda: self.line.unlink(),
            lambda: self.second.write({"amount_untaxed": 5.0}),
            lambda: self.second.write({"name": "Else"}),
            lambda: self.second.unlink(),
            lambda: self.order.write({"payment_term_id": self.pay_terms_b.id}),
            lambda: self.order.write({"partner_id": self.partner_b.id}),
            lambda: self._create_milestone(self.order, 10.0),
        ):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                change()
                self.env.flush_all()
        self.order.action_confirm()
        self.assertEqual(self.order.milestone_contract_hash, agreed)
        self.assertFalse(self.order._verify_signed_contract())
        self._bill(self.order.milestone_ids)

    def test_a_changed_contract_comes_back_with_its_changes(self):
        request = self._change_contract()
        self.order._action_cancel()
        self.order.action_draft()
        delta = request.line_ids.order_line_ids
        self.assertTrue(delta)
        with self.assertRefused("agreed with the client"):
            delta.price_unit = 2 * delta.price_unit
        self.order.action_confirm()
        self.assertEqual(self.order.milestone_original_amount, 3000.0)
        self.assertEqual(self.order.milestone_changes_amount, 100.0)
        self.assertFalse(self.order._verify_signed_contract())

    def _create_milestone(self, order, amount):
        return self.env["sale.milestone"].create({"order_id": order.id, "name": "More", "amount_untaxed": amount})

    def _change_contract(self):
        request = self.env["sale.change.request"].create(
            {
                "order_id": self.order.id,
                "title": "More",
                "reason": "The client wants it.",
                "line_ids": [Command.create({"action": "change", "milestone_id": self.second.id, "amount": 100.0})],
            }
        )
        request.action_submit()
        request.sudo()._approve(self._evidence(request, consent="Agreed."))
        return request

    # -- fields that say something else --------------------------------------------------------------

    def test_no_other_field_takes_an_agreed_line_out_of_the_contract(self):
        name = self.line.name
        changes = {
            "state": "draft",
            "invoice_status": "invoiced",
            "untaxed_amount_invoiced": 1.0,
            "untaxed_amount_to_invoice": 1.0,
            "qty_delivered_method": "analytic",
            "is_expense": True,
            "linked_line_id": self.second.order_line_ids.id,
            "milestone_source_id": self.second.order_line_ids.id,
            "retention_source_id": self.second.order_line_ids.id,
        }
        for field, value in changes.items():
            with self.subTest(field=field), self.assertRefused("agreed with the client"):
                self.line.write({field: value})
        self.assertEqual(self.line.name, name)

    def test_amounts_of_an_order_with_milestones_are_not_written(self):
        for order in (self.order, self._create_contract([10.0], confirm=False)):
            for field in ("amount_total", "amount_untaxed", "amount_tax", "currency_rate"):
                with self.subTest(order=order.state, field=field), self.assertRefused("follow from its lines"):
                    order.write({field: 7.0})

    def test_the_number_of_a_contract_stays(self):
        with self.assertRefused("cannot change any more. Agree on a new contract"):
            self.order.name = "S99999"
        self.order.write({"name": self.order.name})

    def test_invoices_of_a_contract_go_to_its_customer(self):
        with self.assertRefused("go to a contact of that customer"):
            self.order.partner_invoice_id = self.partner_b
        contact = self.env["res.partner"].create(
            {"name": "Accounting", "parent_id": self.order.partner_id.commercial_partner_id.id, "type": "invoice"}
        )
        self.order.partner_invoice_id = contact
        self.assertEqual(self.order.partner_invoice_id, contact)

    def test_what_the_addon_counts_is_not_written(self):
        for field, value in {
            "retention_retained": 5.0,
            "retention_release_count": 3,
            "milestone_welcomed_on": "2030-01-01",
        }.items():
            with self.subTest(field=field), self.assertRaises(AccessError):
                self.order.write({field: value})


@tagged("post_install", "-at_install")
class TestSignedContractGuards(CountersignCommon):
    """What was signed stays, whatever becomes of the order."""

    def test_a_signed_contract_with_evidence_comes_back_with_its_signatures(self):
        self._sign_as_client()
        self._countersign()
        signature, agreed = self.quotation.signature, self.quotation.milestone_contract_hash
        self._submit(self.design)
        self.design.action_withdraw()
        self.quotation._action_cancel()
        self.quotation.action_draft()
        self.assertEqual(self.quotation.signature, signature)
        self.assertTrue(self.quotation.countersigned_on)
        self.assertFalse(self.quotation._has_to_be_signed())
        self.quotation.action_confirm()
        self.assertEqual(self.quotation.milestone_contract_hash, agreed)
        self.assertFalse(self.quotation._verify_signed_contract())

    def test_what_a_client_signed_is_not_deleted(self):
        self._sign_as_client()
        self.quotation._action_cancel()
        with self.assertRefused("is evidence"):
            self.quotation.unlink()
