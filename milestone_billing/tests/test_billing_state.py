from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestBillingState(MilestoneCommon):
    """The billing state follows the invoices through their whole life, by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 500.0])
        cls.milestone, cls.second = cls.order.milestone_ids
        cls.order.milestone_invoice_policy = "draft"

    def _approve_and_draft(self, milestones=None):
        return self._bill(milestones or self.milestone)

    def _check(self, state, invoiced=None, milestone=None):
        milestone = milestone or self.milestone
        self.assertEqual(milestone.billing_state, state)
        if invoiced is not None:
            self.assertMoney(milestone.currency_id, milestone.amount_invoiced, invoiced)
        self.assertNeverBeyondPlan(milestone)

    def test_from_agreement_to_payment(self):
        self._check("not_due", 0.0)
        self._submit(self.milestone)
        self._check("not_due")
        self._approve(self.milestone)
        self._check("to_invoice", 0.0)
        self._run_queue()
        self._check("draft", 0.0)
        invoice = self.milestone.invoice_line_ids.move_id
        invoice.action_post()
        self._check("invoiced", 1000.0)
        self._pay(invoice, 150.0)
        self._check("partial")
        payment = self._pay(invoice, 1000.0)
        self._check("paid", 1000.0)
        payment.action_cancel()
        self._check("partial")
        self._check("not_due", 0.0, self.second)

    def test_a_bank_statement_pays(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        statement_line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.company_data["default_journal_bank"].id,
                "date": invoice.date,
                "payment_ref": invoice.name,
                "partner_id": self.client_company.id,
                "amount": 1150.0,
            }
        )
        _liquidity, suspense, _other = statement_line._seek_for_lines()
        receivable = invoice.line_ids.filtered(lambda line: line.account_type == "asset_receivable")
        statement_line.move_id.button_draft()
        suspense.account_id = receivable.account_id
        statement_line.move_id.action_post()
        (suspense + receivable).reconcile()
        self._check("paid")
        (suspense + receivable).remove_move_reconcile()
        self._check("invoiced")

    def test_reset_cancel_delete(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        invoice.button_draft()
        self._check("draft", 0.0)
        invoice.button_cancel()
        self._check("to_invoice")
        invoice.button_draft()
        self._check("draft")
        invoice.with_context(force_delete=True).unlink()
        self._check("to_invoice")
        self._run_queue()
        self._check("to_invoice")
        self.assertFalse(self.milestone.invoice_queued_on)
        self.milestone.action_create_invoices()
        self._check("draft")

    def test_deleting_the_line_of_a_draft(self):
        invoice = self._approve_and_draft()
        invoice.invoice_line_ids.filtered("product_id").unlink()
        self._check("to_invoice")
        self.milestone.action_create_invoices()
        self._check("draft")

    def test_a_full_credit_note(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        self._credit(invoice)
        self._check("credited", 0.0)
        with self.assertRefused("invoiced already"):
            self.milestone.action_create_invoices()
        self.milestone.action_rebill()
        self._check("to_invoice", 0.0)
        self.assertEqual(self.milestone.billing_round, 2)
        self._run_queue()
        self._check("to_invoice")
        self.milestone.action_create_invoices()
        self._check("draft", 0.0)
        self._invoices(self.milestone).filtered(lambda move: move.state == "draft").action_post()
        self._check("invoiced", 1000.0)
        self.assertMoney(self.order.currency_id, sum(self.order.invoice_ids.mapped("amount_total_signed")), 1150.0)

    def test_a_draft_credit_note_changes_nothing_yet(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice, post=False)
        if refund.state == "draft":
            self._check("invoiced", 1000.0)
            with self.assertRefused("draft documents"):
                self.milestone.action_rebill()
            refund.action_post()
        self._check("credited", 0.0)

    def test_a_credit_note_that_is_a_draft_again_pays_nothing(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        refund.button_draft()
        self.assertEqual(invoice.payment_state, "reversed", "Odoo keeps the two reconciled")
        self._check("invoiced", 1000.0)
        refund.action_post()
        self._check("credited", 0.0)
        refund.button_draft()
        refund.button_cancel()
        self._check("invoiced", 1000.0)
        self._pay(invoice)
        self._check("paid", 1000.0)

    def test_what_a_draft_would_credit_of_a_later_bill_is_owed(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        self._credit(invoice, edit=self._reduce_to(250.0))
        self._pay(invoice)
        self.milestone.action_rebill()
        self.milestone.action_create_invoices()
        rest = self._invoices(self.milestone) - invoice
        rest.action_post()
        refund = self._credit(rest)
        self._check("paid", 750.0)
        refund.button_draft()
        self._check("invoiced", 1000.0)

    def test_the_reversal_of_a_credit_note_bills_again(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        again = self._credit(refund)
        self.assertEqual((again.move_type, again.amount_untaxed), ("out_invoice", 1000.0))
        self.assertEqual(self.milestone.billing_round, 2)
        self._check("invoiced", 1000.0)
        self._pay(again)
        self._check("paid", 1000.0)

    def test_a_credit_note_made_anew_leaves_an_unpaid_bill(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        anew = self._credit(self._credit(invoice), modify=True)
        self.assertEqual((anew.move_type, anew.state, invoice.payment_state), ("out_refund", "draft", "not_paid"))
        self._check("invoiced", 1000.0)
        anew.action_post()
        self._check("credited", 0.0)

    def test_a_credit_note_whose_amount_is_billed_again_is_not_reversed(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        self.milestone.action_rebill()
        self.milestone.action_create_invoices()
        again = self._credit(refund, post=False)
        for bill in self._invoices(self.milestone).filtered(lambda move: move.state == "draft"):
            with self.assertRefused("beyond the agreed"):
                bill.action_post()
        again.unlink()
        self._invoices(self.milestone).filtered(lambda move: move.state == "draft").action_post()
        self._check("invoiced", 1000.0)

    def test_a_part_that_was_credited_is_billed_again_by_reversing_that(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice, edit=self._reduce_to(250.0))
        self._credit(refund)
        self._check("invoiced", 1000.0)
        self._approve(self.second)
        self._run_queue()
        self._invoices(self.second).action_post()
        self.assertBilledAsAgreed(self.order)

    def test_a_credit_note_in_part(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        self._credit(invoice, edit=self._reduce_to(250.0))
        self._check("partial" if invoice.payment_state == "partial" else "invoiced", 750.0)
        self._pay(invoice)
        self._check("paid", 750.0)
        self.milestone.action_rebill()
        self._check("to_invoice")
        self.milestone.action_create_invoices()
        rebill = self._invoices(self.milestone) - invoice
        self.assertEqual(rebill.amount_untaxed, 250.0)
        rebill.action_post()
        self._check("invoiced", 1000.0)

    def _reduce_to(self, price):
        return lambda refund: refund.invoice_line_ids.filtered("product_id").write({"price_unit": price})

    def test_many_credits_and_bills_stay_exact(self):
        """Each tax too: whatever was credited is what is billed again."""
        for method in ("round_per_line", "round_globally"):
            with self.subTest(rounding=method):
                self.company.tax_calculation_rounding_method = method
                order = self._create_contract([0.11, 33.37])
                milestones = order.milestone_ids
                self._bill(milestones)
                for parts in ([0.05], [0.03, 0.03, 0.01]):
                    for milestone in milestones:
                        for part in parts:
                            self._credit(self._get_creditable(milestone, part), edit=self._reduce_to(part))
                        milestone.action_rebill()
                        self.assertNeverBeyondPlan(milestone)
                        milestone.action_create_invoices()
                        self.assertMoney(order.currency_id, milestone.amount_invoiced, milestone.amount_untaxed)
                self.assertBilledAsAgreed(order)

    def _get_creditable(self, milestone, amount):
        """Return an invoice of the milestone that is still worth ``amount``."""
        for invoice in self._invoices(milestone).sorted("id"):
            if invoice.amount_untaxed - sum(invoice.reversal_move_ids.mapped("amount_untaxed")) >= amount - 0.001:
                return invoice
        return self._invoices(milestone)[:1]

    def test_reverse_and_create_invoice_bills_again(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        again = self._credit(invoice, modify=True)
        self.assertEqual(again.state, "draft")
        self.assertEqual(again.line_ids.billing_milestone_id, self.milestone)
        self.assertEqual(self.milestone.billing_round, 2)
        self._check("draft", 0.0)
        again.action_post()
        self._check("invoiced", 1000.0)

    def test_rebilling_is_refused_while_nothing_is_credited(self):
        with self.assertRefused("no posted invoice"):
            self.milestone.action_rebill()
        invoice = self._approve_and_draft()
        with self.assertRefused("no posted invoice"):
            self.milestone.action_rebill()
        invoice.action_post()
        with self.assertRefused("billed in full"):
            self.milestone.action_rebill()
        for role in ("salesperson", "project_manager", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                self.milestone.with_user(self.users[role]).action_rebill()

    def test_a_draft_reduced_by_hand_leaves_the_rest_to_be_billed(self):
        invoice = self._approve_and_draft()
        invoice.invoice_line_ids.filtered("product_id").price_unit = 600.0
        invoice.action_post()
        self._check("invoiced", 600.0)
        self.milestone.action_rebill()
        self.milestone.action_create_invoices()
        rest = self._invoices(self.milestone) - invoice
        self.assertEqual(rest.amount_untaxed, 400.0)
        rest.action_post()
        self._check("invoiced", 1000.0)

    def test_what_was_billed_with_other_taxes_is_billed_again_with_those_of_the_order(self):
        for taxes in (self.tax_20, self.tax_15 + self.tax_10, self.env["account.tax"]):
            with self.subTest(taxes=taxes.mapped("name")):
                order, milestone, invoice = self._bill_with_other_taxes([400.0, 200.0], taxes)
                self._credit(invoice, edit=self._reduce_to(100.0))
                self._check_billed_again(milestone, 100.0, 15.0)
                self.assertMoney(order.currency_id, order.amount_to_invoice, 0.0)

    def _bill_with_other_taxes(self, amounts, taxes, price=None):
        """Bill the first milestone of a new order, as an accountant does who changes the draft first."""
        order = self._create_contract(amounts, milestone_invoice_policy="draft")
        milestone = order.milestone_ids[0]
        invoice = self._bill(milestone)
        self._change_taxes(invoice, taxes)
        if price:
            invoice.invoice_line_ids.filtered("product_id").price_unit = price
        invoice.action_post()
        return order, milestone, invoice

    def _change_taxes(self, move, taxes):
        move.invoice_line_ids.filtered("product_id").tax_ids = taxes

    def _check_billed_again(self, milestone, untaxed, tax, edit=None):
        """Bill again; ``untaxed`` and ``tax`` are what the draft has, and what the order says is to be invoiced."""
        known, line = self._invoices(milestone), milestone.order_line_ids
        milestone.action_rebill()
        self.assertMoney(line.currency_id, line.amount_to_invoice, untaxed + tax)
        milestone.action_create_invoices()
        again = self._invoices(milestone) - known
        self.assertEqual((again.amount_untaxed, self._tax_amounts(again)), (untaxed, {self.tax_15: tax}))
        self.assertMoney(line.currency_id, line.amount_to_invoice, untaxed + tax)
        if edit:
            edit(again)
        again.action_post()
        self.assertMoney(line.currency_id, line.amount_to_invoice, 0.0)
        return again

    def test_what_a_fiscal_position_mapped_on_the_draft_is_billed_again_with_the_taxes_of_the_order(self):
        position = self.env["account.fiscal.position"].create({"name": "Elsewhere"})
        self.tax_20.write({"fiscal_position_ids": position.ids, "original_tax_ids": self.tax_15.ids})
        invoice = self._approve_and_draft()
        with Form(invoice.with_user(self.users["accountant"])) as form:
            form.fiscal_position_id = position
        invoice.with_user(self.users["accountant"]).action_update_fpos_values()
        invoice.action_post()
        self.assertEqual(invoice.amount_tax, 200.0)
        self._credit(invoice, edit=self._reduce_to(250.0))
        self._check_billed_again(self.milestone, 250.0, 37.5)

    def test_what_was_billed_with_other_taxes_and_credited_in_full_is_billed_again_as_agreed(self):
        """Ten times 0.10 + 15 % is 0.15 of tax for the order, which its milestones share."""
        self.company.tax_calculation_rounding_method = "round_globally"
        for parts in ([0.10], [0.03, 0.03, 0.04]):
            with self.subTest(parts=parts):
                order, milestone, invoice = self._bill_with_other_taxes([0.10] * 10, self.tax_20)
                for part in parts:
                    self._credit(invoice, edit=self._reduce_to(part))
                tax = order.currency_id.round(milestone.amount_total - milestone.amount_untaxed)
                self._credit(self._check_billed_again(milestone, 0.10, tax))
                milestone.action_rebill()
                milestone.action_create_invoices()
                self._bill(order.milestone_ids[1:])
                order.invoice_ids.filtered(lambda move: move.state == "draft").action_post()
                self.assertMoney(order.currency_id, self._tax_amounts(order.invoice_ids)[self.tax_15], 0.15)

    def test_a_draft_reduced_by_hand_with_other_taxes_leaves_the_rest_with_those_of_the_order(self):
        _order, milestone, _invoice = self._bill_with_other_taxes([400.0, 200.0], self.tax_10, price=300.0)
        self._check_billed_again(milestone, 100.0, 15.0)

    def test_of_two_bills_one_has_other_taxes(self):
        order = self._create_contract([400.0, 200.0], milestone_invoice_policy="draft")
        milestone = order.milestone_ids[0]
        invoice = self._bill(milestone)
        invoice.action_post()
        self._credit(invoice, edit=self._reduce_to(200.0))
        second = self._check_billed_again(
            milestone, 200.0, 30.0, edit=lambda move: self._change_taxes(move, self.tax_20)
        )
        self.assertEqual(second.amount_tax, 40.0)
        self._credit(second, edit=self._reduce_to(100.0))
        self._check_billed_again(milestone, 100.0, 15.0)

    def test_what_is_credited_with_other_taxes_is_billed_again_with_those_of_the_order(self):
        invoice = self._approve_and_draft()
        invoice.action_post()

        def edit(refund):
            self._reduce_to(100.0)(refund)
            self._change_taxes(refund, self.tax_20)

        self._credit(invoice, edit=edit)
        self._check_billed_again(self.milestone, 100.0, 15.0)

    def test_a_draft_raised_by_hand_is_not_posted(self):
        invoice = self._approve_and_draft()
        for values in ({"price_unit": 1000.01}, {"quantity": 2.0}):
            with self.subTest(values=values), self.assertRefused(r"beyond the agreed.*1,000\.00"):
                invoice.invoice_line_ids.filtered("product_id").write(values)
                invoice.action_post()

    def test_more_than_was_billed_is_not_credited(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        self._credit(invoice, edit=self._reduce_to(999.0))
        with self.assertRefused("More of Milestone 1"):
            self._credit(invoice, edit=self._reduce_to(2.0))
        self._check(self.milestone.billing_state, 1.0)

    def test_a_credit_note_that_a_later_bill_relies_on_stays(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        self.milestone.action_rebill()
        self.milestone.action_create_invoices()
        for undo in (refund.button_draft, refund.button_cancel):
            with self.assertRefused("beyond the agreed"):
                undo()
        self._check("draft", 0.0)

    def test_a_bill_that_is_credited_stays_until_its_credit_note_goes(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice, edit=self._reduce_to(10.0))
        for undo in (invoice.button_draft, invoice.button_cancel):
            with self.assertRefused("More of Milestone 1 would be credited"):
                undo()
        refund.button_draft()
        refund.button_cancel()
        invoice.button_draft()
        self._check("draft", 0.0)

    def test_a_forgotten_draft_of_a_credit_note_does_not_make_the_next_bill_larger(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice, edit=self._reduce_to(400.0), post=False)
        self.assertEqual(refund.state, "draft")
        invoice.button_draft()
        invoice.button_cancel()
        self._check("to_invoice", 0.0)
        self.milestone.action_create_invoices()
        self.assertEqual((self._invoices(self.milestone) - invoice).amount_untaxed, 1000.0)

    def test_an_invoice_is_not_credited_beyond_what_it_bills(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        self._credit(invoice, modify=True).action_post()
        with self.assertRefused("Credit the invoice that bills the rest"):
            self._credit(invoice)
        self._check("invoiced", 1000.0)

    def test_no_line_of_a_milestone_is_billed_while_a_bill_of_it_is_a_draft(self):
        line = {"product_id": self.milestone_product.id, "price_unit": 100.0}
        order = self._create_gated_order([[line, line]], milestone_invoice_policy="draft")
        milestone = order.milestone_ids
        invoice = self._bill(milestone)
        invoice.invoice_line_ids.filtered("product_id")[0].price_unit = 60.0
        invoice.action_post()
        milestone.action_rebill()
        milestone.action_create_invoices()
        self._credit(invoice, edit=self._reduce_to(10.0))
        self.assertEqual(milestone.order_line_ids.mapped("qty_to_invoice"), [0.0, 0.0])
        invoice = self._invoices(milestone) - invoice
        invoice.action_post()
        milestone.action_rebill()
        milestone.action_create_invoices()
        self._invoices(milestone).filtered(lambda move: move.state == "draft").action_post()
        self.assertBilledAsAgreed(order)

    def test_an_earlier_bill_reset_to_draft_shows(self):
        invoice = self._approve_and_draft()
        invoice.invoice_line_ids.filtered("product_id").price_unit = 600.0
        invoice.action_post()
        self.milestone.action_rebill()
        self.milestone.action_create_invoices()
        (self._invoices(self.milestone) - invoice).action_post()
        self._check("invoiced", 1000.0)
        invoice.button_draft()
        self._check("draft", 400.0)
        invoice.action_post()
        self._check("invoiced", 1000.0)

    def test_a_credit_note_undone_before_anything_else_restores_the_bill(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        refund.button_draft()
        self.assertEqual(self.milestone.amount_invoiced, 1000.0)
        refund.button_cancel()
        self._check("invoiced", 1000.0)

    def test_a_credit_note_undone_after_the_milestone_was_opened_again(self):
        invoice = self._approve_and_draft()
        invoice.action_post()
        refund = self._credit(invoice)
        self.milestone.action_rebill()
        refund.button_draft()
        refund.button_cancel()
        line = self.milestone.order_line_ids
        self.assertEqual(line.qty_to_invoice, 0.0)
        self.assertEqual(line.untaxed_amount_to_invoice, 0.0)
        self._check("invoiced", 1000.0)
        with self.assertRaises(UserError):
            self.milestone.action_create_invoices()

    def test_a_cancelled_invoice_does_not_come_back_once_it_is_billed_again(self):
        invoice = self._approve_and_draft()
        invoice.button_cancel()
        self.milestone.action_create_invoices()
        with self.assertRefused("billed by .* since"):
            invoice.button_draft()

    def test_the_database_refuses_a_second_bill(self):
        invoice = self._approve_and_draft()
        line = self.milestone.order_line_ids
        values = {
            "move_type": "out_invoice",
            "partner_id": self.client_company.id,
            "invoice_line_ids": [
                Command.create({"name": "Again", "price_unit": 1.0, "sale_line_ids": [Command.link(line.id)]})
            ],
        }
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.env["account.move"].create(values)
            self.env.flush_all()
        self.assertEqual(self.milestone.invoice_line_ids.move_id, invoice)

    def test_a_bill_does_not_become_a_credit_note_nor_the_reverse(self):
        invoice = self._approve_and_draft()
        with self.assertRefused("stays one"):
            invoice.action_switch_move_type()
        invoice.action_post()
        refund = self._credit(invoice, post=False)
        if refund.state == "draft":
            with self.assertRefused("stays one"):
                refund.action_switch_move_type()

    def test_the_link_of_a_bill_is_not_cut(self):
        invoice = self._approve_and_draft()
        line = invoice.invoice_line_ids.filtered("product_id")
        for command in (Command.clear(), Command.set(self.second.order_line_ids.ids)):
            with self.assertRaises(UserError):
                line.sale_line_ids = [command]
        for name, value in (("billing_milestone_id", self.second.id), ("milestone_billing_key", "1.7")):
            with self.subTest(field=name), self.assertRaises(AccessError):
                line.write({name: value})
        line.sale_line_ids = [Command.set(line.sale_line_ids.ids)]

    def test_the_currency_of_a_bill_is_that_of_the_order(self):
        invoice = self._approve_and_draft()
        invoice.currency_id = self.setup_other_currency("EUR", rates=[("1900-01-01", 2.0)])
        with self.assertRefused("in the currency of its order"):
            invoice.action_post()

    def test_a_copied_invoice_bills_no_milestone(self):
        invoice = self._approve_and_draft()
        copy = invoice.copy()
        self.assertFalse(copy.line_ids.billing_milestone_id)
        self.assertFalse(copy.line_ids.sale_line_ids)
        self._check("draft")

    def test_an_invoice_of_several_milestones(self):
        self.company.milestone_invoice_grouping = "order"
        invoice = self._approve_and_draft(self.order.milestone_ids)
        self.assertEqual(len(invoice), 1)
        self.assertEqual(invoice.billing_milestone_ids, self.order.milestone_ids)
        invoice.action_post()
        self._check("invoiced", 500.0, self.second)
        lines = invoice.invoice_line_ids.filtered("product_id")
        self._credit(
            invoice,
            edit=lambda refund: refund.invoice_line_ids.filtered(
                lambda line: line.billing_milestone_id != self.second
            ).unlink(),
        )
        self._check("credited", 0.0, self.second)
        self.assertEqual(self.milestone.amount_invoiced, 1000.0)
        self.assertNotEqual(self.milestone.billing_state, "credited")
        self.assertEqual(len(lines), 2)

    def test_a_bill_says_which_milestone_was_approved_by_whom(self):
        invoice = self._approve_and_draft()
        (statement,) = invoice._get_milestone_statements()
        self.assertRegex(statement, r"Milestone 1 of 2 of S\d+: Milestone 1, approved by Client, Approver on ")
        self.assertEqual(self.milestone.invoice_count, 1)
        self.assertEqual(self.milestone.action_view_invoices()["res_id"], invoice.id)
        self.assertEqual(invoice.action_view_billing_milestones()["res_id"], self.milestone.id)

    def test_nothing_else_of_accounting_changes(self):
        """An ordinary invoice goes its ordinary ways."""
        invoice = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client_company.id,
                "invoice_line_ids": [Command.create({"name": "Free", "price_unit": 10.0})],
            }
        )
        invoice.action_switch_move_type()
        self.assertEqual(invoice.move_type, "out_refund")
        invoice.action_post()
        invoice.button_draft()
        invoice.button_cancel()
        invoice.button_draft()
        invoice.unlink()
