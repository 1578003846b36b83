from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.milestone_billing.models.sale_order_advance_cancel import ADVANCE_LEFT

from .common import MilestoneCommon


class AdvanceCommon(MilestoneCommon):
    """Contracts with an advance, and what its account holds."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.advance_account = cls.env["account.account"].create(
            {"code": "2MSADV", "name": "Advances received", "account_type": "liability_current"}
        )
        cls.company.downpayment_account_id = cls.advance_account

    @classmethod
    def _create_with_advance(cls, amounts, percentage=20.0, **values):
        terms = {"milestone_advance_type": "percentage", "milestone_advance_percentage": percentage}
        return cls._create_contract(amounts, **{**terms, "milestone_advance_policy": "automatic", **values})

    @classmethod
    def _get_advance_lines(cls, order):
        return order.order_line.filtered("is_milestone_advance")

    @classmethod
    def _get_advance_invoices(cls, order):
        return cls._get_advance_lines(order)._get_advance_bills().move_id

    def _get_account_balance(self, order):
        """Return what the advance account holds of an order: in its currency, and in the company's."""
        lines = self._get_advance_lines(order)
        items = self.env["account.move.line"].search(
            [
                ("account_id", "=", self.advance_account.id),
                ("parent_state", "=", "posted"),
                "|",
                ("sale_line_ids", "in", lines.ids),
                ("exchange_advance_line_id", "in", lines.ids),
            ]
        )
        return sum(items.mapped("amount_currency")), sum(items.mapped("balance"))

    def assertAdvanceSettled(self, order):
        currency = order.currency_id
        amount_currency, balance = self._get_account_balance(order)
        self.assertMoney(currency, amount_currency, 0.0)
        self.assertMoney(order.company_id.currency_id, balance, 0.0)
        self.assertMoney(currency, order.advance_remaining, 0.0)
        self.assertMoney(currency, order.advance_recovered, order.advance_invoiced)
        for line in self._get_advance_lines(order):
            self.assertEqual(line.qty_invoiced, 0.0)
            self.assertEqual(line.invoice_status, "invoiced")
            self.assertMoney(currency, line.untaxed_amount_invoiced, 0.0)

    def _run_wizard(self, order, **values):
        known = order.invoice_ids
        self.env["sale.advance.payment.inv"].with_context(active_model="sale.order", active_ids=order.ids).create(
            {"sale_order_ids": [Command.set(order.ids)], **values}
        ).create_invoices()
        return order.invoice_ids - known


@tagged("post_install", "-at_install")
class TestAdvance(AdvanceCommon):
    """An advance is invoiced after the confirmation, and recovered by the milestones."""

    # -- the advance invoice ----------------------------------------------------------------------------

    def test_a_fifth_of_three_thirds_is_recovered_to_the_cent(self):
        order = self._create_with_advance([3333.33] * 3)
        self._run_queue()
        advance = self._get_advance_invoices(order)
        self.assertEqual(advance.state, "posted")
        self.assertEqual(advance.amount_total, 2300.0)
        self.assertEqual(len(advance.invoice_line_ids), 1, "one line for the client, not one per milestone")
        self.assertEqual(advance.invoice_line_ids.account_id, self.advance_account)
        totals = [round(self._bill(milestone).amount_total, 2) for milestone in order.milestone_ids]
        self.assertEqual(sorted(totals), [3066.66, 3066.66, 3066.67], "3,833.33 less a third of the advance")
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_amounts_of_the_order_follow_every_step(self):
        order = self._create_with_advance([1000.0, 3000.0], milestone_invoice_policy="draft")
        first, second = order.milestone_ids
        self.assertEqual((order.advance_invoiced, order.advance_remaining), (0.0, 0.0))
        self._run_queue()
        line = self._get_advance_lines(order)
        self.assertEqual((line.qty_invoiced, line.qty_invoiced_posted, order.advance_invoiced), (1.0, 0.0, 0.0))
        self._get_advance_invoices(order).action_post()
        self.assertEqual((line.qty_invoiced, line.qty_to_invoice), (1.0, -1.0))
        self.assertEqual((line.untaxed_amount_invoiced, line.untaxed_amount_to_invoice), (800.0, -800.0))
        self.assertEqual((order.amount_invoiced, order.advance_invoiced), (920.0, 920.0))
        self.assertEqual(order.amount_to_invoice, 0.0)
        self._approve(first)
        self.assertEqual(order.invoice_status, "to invoice")
        self.assertMoney(order.currency_id, order.amount_to_invoice, 1150.0 - 230.0)
        self._run_queue()
        invoice = self._invoices(first)
        self.assertMoney(order.currency_id, order.amount_to_invoice, 1150.0 - 230.0, "a draft is not invoiced yet")
        self.assertEqual(order.advance_recovered, 230.0)
        self.assertEqual(first.advance_recovered, 0.0)
        invoice.action_post()
        self.assertEqual((line.qty_invoiced, line.untaxed_amount_invoiced), (0.75, 600.0))
        self.assertMoney(order.currency_id, order.amount_to_invoice, 0.0)
        self.assertMoney(order.currency_id, order.amount_invoiced, 920.0 + 920.0)
        self.assertEqual((first.advance_recovered, first.advance_recovered_untaxed), (230.0, 200.0))
        self.assertEqual(order.advance_remaining, 690.0)
        self.assertEqual((first.amount_invoiced, first.billing_state), (1000.0, "invoiced"))
        self._bill(second).action_post()
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_an_amount_counts_taxes(self):
        order = self._create_contract(
            [1000.0, 1000.0],
            milestone_advance_type="amount",
            milestone_advance_amount=500.0,
            milestone_advance_policy="automatic",
        )
        self._run_queue()
        self.assertEqual(self._get_advance_invoices(order).amount_total, 500.0)
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_by_hand_it_waits_for_the_button(self):
        order = self._create_with_advance([1000.0], milestone_advance_policy="manual")
        self._run_queue()
        self.assertFalse(order.invoice_ids)
        self.assertTrue(order.can_invoice_advance)
        action = order.with_user(self.users["invoicing"]).action_invoice_advance()
        self.assertEqual(order.invoice_ids.id, action["res_id"])
        self.assertEqual(order.invoice_ids.state, "posted")
        self.assertFalse(order.can_invoice_advance)
        with self.assertRefused("invoiced already"):
            order.action_invoice_advance()

    def test_the_button_refuses_what_is_not_agreed(self):
        quotation = self._create_with_advance([1000.0], confirm=False)
        with self.assertRefused("not confirmed"):
            quotation.action_invoice_advance()
        with self.assertRefused("No advance is agreed"):
            self._create_contract([1000.0]).action_invoice_advance()
        order = self._create_with_advance([1000.0], milestone_advance_policy="manual")
        with self.assertRefused("invoicing users", AccessError):
            order.with_user(self.users["salesperson"]).action_invoice_advance()

    def test_the_confirmation_itself_makes_no_invoice(self):
        order = self._create_with_advance([1000.0])
        self.assertFalse(order.invoice_ids)
        self.assertTrue(order.advance_queued_on)
        self._run_queue()
        self.assertFalse(order.advance_queued_on)
        self._run_queue()
        self.assertEqual(len(order.invoice_ids), 1, "the queue makes it once")

    def test_what_cannot_be_invoiced_is_kept_told_and_tried_again(self):
        order = self._create_with_advance([1000.0])
        with patch.object(type(order), "_create_advance_invoice", side_effect=UserError("No journal")):
            self._run_queue()
        self.assertEqual(order.advance_error, "No journal")
        self.assertGreater(order.advance_queued_on, order.create_date)
        self.assertIn("could not be invoiced", " ".join(order.activity_ids.mapped("summary")))
        self._run_queue()
        self.assertFalse(order.invoice_ids, "it waits until tomorrow")
        order.with_user(self.users["invoicing"]).action_invoice_advance()
        self.assertFalse(order.advance_error or order.advance_queued_on)
        self.assertNotIn("could not be invoiced", " ".join(order.activity_ids.mapped("summary")))

    @mute_logger("odoo.addons.milestone_billing.models.sale_milestone_billing")
    def test_a_failed_advance_holds_back_neither_others_nor_milestones(self):
        order, other = self._create_with_advance([1000.0]), self._create_with_advance([1000.0])
        self._approve(order.milestone_ids)
        create = type(order)._create_advance_invoice

        def fail(record, *args, **kwargs):
            if record.id == order.id:
                raise ZeroDivisionError("Boom")
            return create(record, *args, **kwargs)

        with patch.object(type(order), "_create_advance_invoice", fail):
            self._run_queue()
        self.assertIn("Boom", order.advance_error)
        self.assertEqual(self._get_advance_invoices(other).state, "posted")
        self.assertEqual(order.milestone_ids.billing_state, "invoiced")

    def test_what_is_approved_before_the_queue_runs_recovers_the_advance(self):
        order = self._create_with_advance([1000.0])
        invoices = self._bill(order.milestone_ids)
        self.assertEqual(invoices.amount_total, 1150.0 - 230.0)

    # -- terms --------------------------------------------------------------------------------------------

    def test_terms_come_from_the_company_and_freeze_with_the_contract(self):
        self.company.write({"milestone_advance_type": "percentage", "milestone_advance_percentage": 30.0})
        order = self._create_contract([1000.0], confirm=False)
        self.assertEqual((order.milestone_advance_type, order.milestone_advance_percentage), ("percentage", 30.0))
        order.milestone_advance_percentage = 25.0
        order.action_confirm()
        self.company.milestone_advance_percentage = 50.0
        self.assertEqual(order.milestone_advance_percentage, 25.0)
        for name, value in (
            ("milestone_advance_type", "none"),
            ("milestone_advance_percentage", 50.0),
            ("milestone_advance_amount", 5.0),
            ("milestone_advance_recovery", "first_in"),
            ("milestone_advance_policy", "manual"),
        ):
            with self.subTest(name=name), self.assertRefused("cannot change any more. Agree on a new"):
                order[name] = value
        order.write({"milestone_advance_percentage": 25.0})

    def test_the_contract_names_the_advance_only_where_there_is_one(self):
        order = self._create_with_advance([1000.0])
        self.assertEqual(
            order._prepare_contract_values()["advance"],
            {"type": "percentage", "value": "20.0000", "recovery": "pro_rata"},
        )
        self.assertFalse(order._verify_contract())
        self.assertNotIn("advance", self._create_contract([1000.0])._prepare_contract_values())

    def test_impossible_terms_are_refused(self):
        for values, pattern in (
            ({"milestone_advance_type": "percentage", "milestone_advance_percentage": 0.0}, "how much"),
            ({"milestone_advance_type": "amount", "milestone_advance_amount": 1150.01}, "more than the milestones"),
        ):
            order = self._create_contract([1000.0], confirm=False, **values)
            with self.subTest(values=values), self.assertRefused(pattern):
                order.action_confirm()
        for values in ({"milestone_advance_percentage": 100.01}, {"milestone_advance_amount": -1.0}):
            order = self._create_contract([1000.0], confirm=False)
            with self.subTest(values=values), mute_logger("odoo.sql_db"), self.assertRaises(Exception) as caught:
                order.write(values)
                order.flush_recordset()
            self.assertIn("milestone_advance_within_contract", str(caught.exception))

    def test_the_form_offers_the_terms(self):
        with Form(self._create_contract([1000.0], confirm=False)) as form:
            form.milestone_advance_type = "percentage"
            form.milestone_advance_percentage = 40.0
            form.milestone_advance_recovery = "first_in"
        self.assertEqual(form.record.milestone_advance_recovery, "first_in")

    # -- recovery -----------------------------------------------------------------------------------------

    def test_first_in_recovers_all_it_can_whatever_is_billed_first(self):
        order = self._create_with_advance(
            [500.0, 1000.0, 2500.0], percentage=30.0, milestone_advance_recovery="first_in"
        )
        first, second, third = order.milestone_ids
        self._run_queue()
        self.assertEqual(order.advance_invoiced, 1380.0)
        invoice = self._bill(second)
        self.assertEqual((invoice.amount_total, second.advance_recovered_untaxed), (0.0, 1000.0))
        self.assertEqual(second.billing_state, "paid")
        invoice = self._bill(first)
        self.assertEqual((invoice.amount_total, first.advance_recovered_untaxed), (345.0, 200.0))
        self.assertEqual(self._bill(third).amount_total, 2875.0)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_each_set_of_taxes_is_recovered_with_its_taxes(self):
        order = self._create_gated_order(
            [
                [{"product_id": self.product_a.id, "price_unit": 333.33, "tax_ids": [Command.set(self.tax_10.ids)]}],
                [{"product_id": self.product_a.id, "price_unit": 777.77, "tax_ids": [Command.set(self.tax_20.ids)]}],
                [
                    {"product_id": self.product_a.id, "price_unit": 100.01, "tax_ids": [Command.set(self.tax_10.ids)]},
                    {
                        "product_id": self.product_b.id,
                        "price_unit": 55.55,
                        "tax_ids": [Command.set((self.tax_10 + self.tax_20).ids)],
                    },
                ],
            ],
            milestone_advance_type="percentage",
            milestone_advance_percentage=33.0,
            milestone_advance_policy="automatic",
        )
        self._run_queue()
        self.assertEqual(len(self._get_advance_invoices(order).invoice_line_ids), 3)
        for milestone in order.milestone_ids:
            invoice = self._bill(milestone)
            recovered = invoice._get_advance_recovery_lines()
            billed = invoice.invoice_line_ids.filtered("billing_milestone_id").filtered("price_subtotal")
            self.assertEqual(
                set(recovered.mapped("tax_ids")._ids), set(billed.mapped("tax_ids")._ids), "no tax of another milestone"
            )
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_of_a_withheld_tax_each_milestone_recovers_its_share(self):
        """A tax may be negative: what clients withhold of professional fees, and pay to the state themselves."""
        withheld = self.env["account.tax"].create({"name": "Withheld 15 %", "amount": -15.0})
        self.milestone_product.taxes_id = [Command.set((self.tax_20 + withheld).ids)]
        for recovery, totals in (("pro_rata", [735.0, 735.0, 735.0]), ("first_in", [105.0, 1050.0, 1050.0])):
            with self.subTest(recovery=recovery):
                order = self._create_with_advance([1000.0] * 3, percentage=30.0, milestone_advance_recovery=recovery)
                self._run_queue()
                invoices = [self._bill(milestone) for milestone in order.milestone_ids]
                self.assertEqual([invoice.amount_total for invoice in invoices], totals)
                for invoice in invoices:
                    taxes = self._tax_amounts(invoice)
                    self.assertMoney(order.currency_id, taxes[withheld], -0.15 * invoice.amount_untaxed)
                self.assertBilledAsAgreed(order)
                self.assertAdvanceSettled(order)
        order = self._create_with_advance([9000.0, 1000.0], percentage=30.0)
        self._run_queue()
        self.assertEqual([self._bill(milestone).amount_total for milestone in order.milestone_ids], [6615.0, 735.0])
        self.assertBilledAsAgreed(order)

    def test_one_invoice_for_all_recovers_for_each(self):
        self.company.milestone_invoice_grouping = "customer"
        order, other = self._create_with_advance([100.0, 200.0]), self._create_with_advance([50.0], percentage=50.0)
        self._run_queue()
        milestones = order.milestone_ids + other.milestone_ids
        self._approve(milestones)
        self._run_queue()
        invoice = self._invoices(milestones)
        self.assertEqual(len(invoice), 1)
        self.assertEqual(invoice._get_advance_recovery_lines().advance_milestone_id, milestones)
        self.assertEqual(invoice.amount_untaxed, 350.0 - 60.0 - 25.0)
        for record in (order, other):
            self.assertAdvanceSettled(record)

    def test_a_recovery_stays_on_the_account_of_its_advance_whoever_edits_the_draft(self):
        order = self._create_with_advance([1000.0], milestone_invoice_policy="draft")
        self._run_queue()
        self._get_advance_invoices(order).action_post()
        invoice = self._bill(order.milestone_ids)
        with Form(invoice) as form:
            form.fiscal_position_id = self.env["account.fiscal.position"].create({"name": "Elsewhere"})
        invoice.action_update_fpos_values()
        with Form(invoice) as form:
            form.partner_id = self.env["res.partner"].create({"name": "Bank of the Client", "is_company": True})
        self.assertEqual(invoice._get_advance_recovery_lines().account_id, self.advance_account)
        invoice.action_post()
        self.assertEqual(self._get_account_balance(order), (0.0, 0.0))

    def test_other_invoices_of_the_order_leave_the_advance_alone(self):
        order = self._create_with_advance(
            [1000.0], lines=[{"product_id": self.product_a.id, "price_unit": 400.0, "tax_ids": False}]
        )
        self._run_queue()
        for deduct in (True, False):
            invoice = order._create_invoices(final=deduct)
            self.assertEqual(invoice.amount_untaxed, 400.0)
            invoice.button_cancel()
        self._approve(order.milestone_ids)
        invoice = self._run_wizard(order, advance_payment_method="delivered", deduct_down_payments=False)
        self.assertEqual(invoice.amount_untaxed, 1400.0 - 200.0, "the contract recovers, whatever the wizard says")
        invoice.action_post()
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_what_is_billed_before_the_advance_is_posted_recovers_nothing(self):
        order = self._create_with_advance([1000.0, 1000.0, 1000.0], milestone_invoice_policy="draft")
        first, second, third = order.milestone_ids
        self._run_queue()
        advance = self._get_advance_invoices(order)
        self._bill(first).action_post()
        self.assertEqual(first.advance_recovered, 0.0)
        advance.action_post()
        self.assertEqual(self._bill(second).amount_untaxed, 700.0, "the others recover all of it")
        self.assertEqual(self._bill(third).amount_untaxed, 700.0)

    def test_an_advance_beyond_what_is_left_to_bill_is_not_posted(self):
        order = self._create_with_advance([1000.0, 100.0], percentage=50.0, milestone_invoice_policy="draft")
        self._run_queue()
        self._bill(order.milestone_ids[0]).action_post()
        with self.assertRefused("cannot exceed"):
            self._get_advance_invoices(order).action_post()

    def test_a_draft_that_is_deleted_or_cancelled_recovers_nothing(self):
        for gone in ("unlink", "button_cancel"):
            with self.subTest(gone=gone):
                order = self._create_with_advance([1000.0], milestone_invoice_policy="draft")
                self._run_queue()
                getattr(self._get_advance_invoices(order), gone)()
                self.assertTrue(order.can_invoice_advance)
                self.assertEqual(self._bill(order.milestone_ids).amount_untaxed, 1000.0)

    def test_a_milestone_that_is_taken_off_a_draft_recovers_nothing_there(self):
        self.company.milestone_invoice_grouping = "order"
        order = self._create_with_advance([1000.0, 2000.0], milestone_invoice_policy="draft")
        self._run_queue()
        self._get_advance_invoices(order).action_post()
        first, second = order.milestone_ids
        invoice = self._bill(first | second)
        self.assertEqual((len(invoice), invoice.amount_untaxed), (1, 2400.0))
        with Form(invoice) as form:
            lines = form.invoice_line_ids._records
            [number] = [
                number
                for number, line in enumerate(lines)
                if line["billing_milestone_id"] == first.id and line["display_type"] == "product"
            ]
            form.invoice_line_ids.remove(number)
        invoice.action_post()
        self.assertEqual(invoice._get_advance_recovery_lines().advance_milestone_id, second)
        self.assertEqual(invoice.amount_untaxed, 1600.0)
        first.action_create_invoices()
        invoice = self._invoices(first)
        self.assertEqual(invoice.amount_untaxed, 800.0)
        invoice.action_post()
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_who_pays_to_accept_pays_the_advance(self):
        self.company.write({"portal_confirmation_pay": True, "prepayment_percent": 1.0})
        order = self._create_with_advance([666.67, 333.34], confirm=False)
        self.assertEqual((order.prepayment_percent, order._get_prepayment_required_amount()), (0.2, 230.0))
        free = self._create_with_advance([1000.0], confirm=False, lines=[{"product_id": self.milestone_product.id}])
        free.order_line.filtered(lambda line: not line.billing_milestone_id).price_unit = 500.0
        self.assertEqual((free.prepayment_percent, free._get_prepayment_required_amount()), (0.1333, 230.0))
        order.write({"milestone_advance_type": "amount", "milestone_advance_amount": 100.01})
        self.assertEqual((order.prepayment_percent, order._get_prepayment_required_amount()), (0.087, 100.01))
        order.action_confirm()
        self._run_queue()
        self.assertEqual(self._get_advance_invoices(order).amount_total, 100.01)
        self.assertEqual(order.prepayment_percent, 0.087)
        plain = self._create_contract([1000.0], confirm=False)
        self.assertEqual((plain.prepayment_percent, plain._get_prepayment_required_amount()), (1.0, 1150.0))
        plain.prepayment_percent = 0.5
        plain.milestone_ids.amount_untaxed = 2000.0
        self.assertEqual((plain.prepayment_percent, plain._get_prepayment_required_amount()), (0.5, 1150.0))

    # -- several advances ---------------------------------------------------------------------------------

    def test_a_down_payment_of_the_wizard_is_an_advance(self):
        order = self._create_with_advance([1000.0, 1000.0], percentage=10.0)
        self._run_queue()
        first, second = order.milestone_ids
        self._bill(first)
        invoice = self._run_wizard(order, advance_payment_method="fixed", fixed_amount=575.0)
        self.assertEqual(invoice.amount_total, 575.0)
        invoice.action_post()
        self.assertEqual(order.advance_remaining, 115.0 + 575.0)
        bill = self._bill(second)
        self.assertEqual(len(bill._get_advance_recovery_lines()), 2)
        self.assertEqual(bill.amount_untaxed, 400.0)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_all_in_two_advances_leaves_nothing_to_pay(self):
        order = self._create_with_advance([66.67, 33.35, 0.05], percentage=50.0)
        self._run_queue()
        room = order.amount_total - order.advance_invoiced
        self._run_wizard(order, advance_payment_method="fixed", fixed_amount=room).action_post()
        for milestone in order.milestone_ids:
            self.assertEqual(self._bill(milestone).amount_total, 0.0)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_more_than_what_is_left_to_bill_is_refused(self):
        order = self._create_with_advance([1000.0, 1000.0], percentage=50.0)
        self._run_queue()
        with self.assertRefused(r"1,150\.00"):
            self._run_wizard(order, advance_payment_method="fixed", fixed_amount=1150.01)
        self._bill(order.milestone_ids[0])
        with self.assertRefused(r"575\.00"):
            self._run_wizard(order, advance_payment_method="percentage", amount=30.0)
        self._bill(order.milestone_ids[1])
        with self.assertRefused("cannot"):
            self._run_wizard(order, advance_payment_method="fixed", fixed_amount=1.0)
        self.assertEqual(len(self._get_advance_lines(order)), 1)

    # -- credit -------------------------------------------------------------------------------------------

    def test_a_credited_advance_is_not_recovered(self):
        order = self._create_with_advance([1000.0])
        self._run_queue()
        self._credit(self._get_advance_invoices(order))
        self.assertEqual(order.advance_remaining, 0.0)
        self.assertEqual(self._get_advance_lines(order).qty_invoiced, 0.0)
        self.assertEqual(self._bill(order.milestone_ids).amount_total, 1150.0)
        self.assertBilledAsAgreed(order)

    def test_what_is_left_of_an_advance_after_a_credit_in_part_is_recovered(self):
        order = self._create_with_advance([1000.0, 1000.0])
        self._run_queue()
        first, second = order.milestone_ids
        self._bill(first)

        def halve(refund):
            refund.invoice_line_ids.price_unit = 100.0

        self._credit(self._get_advance_invoices(order), edit=halve)
        self.assertEqual(order.advance_remaining, 115.0)
        self.assertEqual(self._bill(second).amount_untaxed, 900.0)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_what_was_recovered_cannot_be_credited_or_cancelled(self):
        order = self._create_with_advance([1000.0, 1000.0])
        self._run_queue()
        advance = self._get_advance_invoices(order)
        self._bill(order.milestone_ids[0])
        with self.assertRefused("recovered"):
            self._credit(advance)
        with self.assertRefused("recovered"):
            advance.button_draft()
        self.assertEqual(order.advance_remaining, 230.0)

    def test_whoever_invoices_is_told_to_credit_what_a_cancelled_order_leaves(self):
        order = self._create_with_advance([3000.0, 7000.0], percentage=50.0)
        self._run_queue()
        self._bill(order.milestone_ids[0])
        order.with_user(self.users["sale_all"])._action_cancel()
        [activity] = order.activity_search([ADVANCE_LEFT])
        self.assertIn("credit the rest of the advance", activity.summary)
        self.assertEqual(activity.user_id, order.milestone_ids[:1]._get_invoicing_user())
        self.assertIn("4,025.00", activity.note)
        order._action_cancel()
        self.assertEqual(order.activity_search([ADVANCE_LEFT]), activity)
        order.action_draft()
        self.assertFalse(activity.exists(), "the order can recover it again")

    def test_a_cancelled_order_without_an_advance_left_asks_nobody(self):
        plain = self._create_contract([1000.0])
        uninvoiced = self._create_with_advance([1000.0], milestone_advance_policy="manual")
        recovered = self._create_with_advance([1000.0])
        self._run_queue()
        self._bill(recovered.milestone_ids)
        orders = plain + uninvoiced + recovered
        orders._action_cancel()
        self.assertEqual(set(orders.mapped("state")), {"cancel"})
        self.assertFalse(orders.activity_search([ADVANCE_LEFT]))

    def test_the_form_of_a_cancelled_order_shows_what_is_left_of_the_advance(self):
        order = self._create_with_advance([1000.0])
        plain = self._create_with_advance([1000.0], milestone_advance_policy="manual")
        self._run_queue()
        (order + plain)._action_cancel()
        for record, shown in ((order, True), (plain, False)):
            self.assertEqual(not Form(record)._get_modifier("advance_recovered", "invisible"), shown)

    def test_a_credited_milestone_gives_back_and_recovers_again(self):
        for modify in (False, True):
            with self.subTest(modify=modify):
                order = self._create_with_advance([1000.0, 1000.0])
                self._run_queue()
                first, second = order.milestone_ids
                invoice = self._bill(first)
                new = self._credit(invoice, modify=modify)
                if modify:
                    self.assertEqual(new.amount_untaxed, 800.0)
                    new.action_post()
                else:
                    self.assertEqual(order.advance_remaining, 460.0)
                    self.assertEqual(first.advance_recovered, 0.0)
                    first.action_rebill()
                    first.action_create_invoices()
                self.assertEqual((first.advance_recovered, order.advance_remaining), (230.0, 230.0))
                self._bill(second)
                self.assertBilledAsAgreed(order)
                self.assertAdvanceSettled(order)

    def test_the_rest_of_a_milestone_recovers_its_part(self):
        order = self._create_with_advance([1000.0, 1000.0], percentage=100.0)
        self._run_queue()
        first, second = order.milestone_ids
        invoice = self._bill(first)

        def halve(refund):
            refund.invoice_line_ids.filtered("price_subtotal").quantity = 0.5
            refund.invoice_line_ids.filtered("advance_milestone_id").quantity = -0.5

        self._credit(invoice, edit=halve)
        first.action_rebill()
        first.action_create_invoices()
        self.assertEqual(first.advance_recovered, 1150.0)
        self.assertEqual(self._bill(second).amount_total, 0.0)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_the_rest_of_a_milestone_that_was_billed_with_another_tax_recovers_its_part(self):
        order = self._create_with_advance([400.0, 200.0], milestone_invoice_policy="draft")
        self._run_queue()
        order.invoice_ids.action_post()
        first, second = order.milestone_ids
        invoice = self._bill(first)
        invoice.invoice_line_ids.filtered("billing_milestone_id").tax_ids = self.tax_20
        invoice.action_post()

        def halve(refund):
            for line in refund.invoice_line_ids.filtered("price_subtotal"):
                line.price_unit /= 2

        self._credit(invoice, edit=halve)
        first.action_rebill()
        self.assertMoney(order.currency_id, order.amount_to_invoice, 184.0)
        first.action_create_invoices()
        again = self._invoices(first) - invoice
        self.assertEqual((again.amount_untaxed, again.amount_tax), (160.0, 24.0))
        again.action_post()
        self._bill(second).action_post()
        self.assertAdvanceSettled(order)

    def test_a_recovery_on_another_account_leads_no_later_one_there(self):
        order = self._create_with_advance([250.0, 250.0, 500.0], milestone_invoice_policy="draft")
        self._run_queue()
        self._get_advance_invoices(order).filtered(lambda move: move.state == "draft").action_post()
        first = self._bill(order.milestone_ids[0])
        recovery = first.invoice_line_ids.filtered("advance_milestone_id")
        recovery.account_id = self.company_data["default_account_revenue"]
        first.action_post()
        later = self._bill(order.milestone_ids[1:])
        self.assertEqual(later.invoice_line_ids.filtered("advance_milestone_id").account_id, self.advance_account)

    # -- payments -----------------------------------------------------------------------------------------

    def test_a_payment_at_the_signature_settles_the_advance(self):
        order = self._create_with_advance([1000.0], confirm=False)
        payments = self._create_payment(order, 230.0)
        order.action_confirm()
        payments._invoice_sale_orders()
        self.assertFalse(order.invoice_ids, "no invoice on top of the agreed advance")
        self._run_queue()
        self.assertIn(self._get_advance_invoices(order).payment_state, ("paid", "in_payment"))

    def _create_payment(self, order, amount):
        provider = self.env["payment.provider"].create(
            {"name": "Test", "code": "none", "state": "test", "company_id": self.company.id}
        )
        journal = self.company_data["default_journal_bank"]
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
                "amount": amount,
                "currency_id": order.currency_id.id,
                "partner_id": order.partner_id.id,
                "reference": "advance",
                "sale_order_ids": [Command.set(order.ids)],
                "state": "done",
            }
        )
        payment = self.env["account.payment"].create(
            {
                "amount": amount,
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": order.partner_id.id,
                "journal_id": journal.id,
                "payment_transaction_id": transaction.id,
            }
        )
        payment.action_post()
        transaction.payment_id = payment
        return transaction

    # -- attacks ------------------------------------------------------------------------------------------

    def test_nobody_marks_advances_by_hand(self):
        order = self._create_with_advance([1000.0])
        self._run_queue()
        line = self._get_advance_lines(order)
        with self.assertRaises(AccessError):
            line.is_milestone_advance = False
        with self.assertRaises(AccessError):
            self.env["sale.order.line"].create(
                {"order_id": order.id, "product_id": self.product_a.id, "is_milestone_advance": True}
            )
        for values in ({"is_downpayment": False}, {"product_uom_qty": 1.0}, {"invoice_lines": [Command.clear()]}):
            with self.subTest(values=values), self.assertRefused("is an advance"):
                line.write(values)
        with self.assertRaises(AccessError):
            order.advance_queued_on = "2020-01-01"
        made = (
            self.env["sale.order.line"]
            .with_context(default_is_milestone_advance=True)
            .create({"order_id": order.id, "product_id": self.product_a.id})
        )
        self.assertFalse(made.is_milestone_advance)

    def test_a_recovery_belongs_to_an_advance_of_its_order(self):
        order, other = self._create_with_advance([1000.0]), self._create_with_advance([1000.0])
        self._run_queue()
        invoice = self._bill(order.milestone_ids)
        with self.assertRaises(AccessError):
            invoice._get_advance_recovery_lines().advance_milestone_id = other.milestone_ids
        with self.assertRaises(ValidationError):
            self.env["account.move"].create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.client_company.id,
                    "invoice_line_ids": [
                        Command.create({"name": "x", "price_unit": 5.0, "advance_milestone_id": other.milestone_ids.id})
                    ],
                }
            )

    def test_a_recovery_that_is_raised_by_hand_stays_within_the_advance(self):
        order = self._create_with_advance([1000.0, 1000.0], milestone_invoice_policy="draft")
        self._run_queue()
        self._get_advance_invoices(order).action_post()
        invoice = self._bill(order.milestone_ids[0])
        invoice._get_advance_recovery_lines().price_unit = 400.01
        with self.assertRefused("more of the advance"):
            invoice.action_post()
        invoice._get_advance_recovery_lines().price_unit = 300.0
        invoice.action_post()
        self._bill(order.milestone_ids[1]).action_post()
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)
