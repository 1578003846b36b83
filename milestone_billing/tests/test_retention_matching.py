from functools import partial
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from odoo.fields import Command
from odoo.tests import Form, tagged

from .retention_common import RetentionCommon
from .test_change_request import ChangeCommon


@tagged("post_install", "-at_install")
class TestRetentionMatching(RetentionCommon, ChangeCommon):
    """Retentions of several contracts are on one account, and often on one invoice: each is its contract's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.milestone_invoice_schedule = "on_demand"

    def _bill_together(self, *orders):
        for order in orders:
            self._approve(order.milestone_ids)
        self.client_company.action_bill_milestones()
        return orders[0].milestone_ids.invoice_line_ids.move_id

    def _reduce(self, order, *amounts):
        self._change(
            order,
            *(
                {"action": "change", "milestone_id": milestone.id, "amount": -amount}
                for milestone, amount in zip(order.milestone_ids, amounts, strict=True)
            ),
        )

    def assertRetention(self, *expected):
        """Of each contract: retained, released, paid and withheld."""
        self.env.flush_all()
        self.env.invalidate_all()
        names = ("retained", "released", "paid", "withheld")
        for order, amounts in expected:
            self.assertEqual(tuple(order[f"retention_{name}"] for name in names), amounts, order.name)
        self.assertListIsLedger(*(order for order, _amounts in expected))

    def test_each_credit_note_is_set_against_its_own_invoice(self):
        """Two reductions of one invoice and one of another, posted together."""
        self.company.milestone_invoice_grouping = "order"
        self.company.milestone_invoice_schedule = "at_once"
        other, order = self._create_contract([700.0]), self._create_contract([1000.0, 2000.0])
        self._bill((other | order).milestone_ids)
        self._reduce(order, 100.0, 200.0)
        self._reduce(other, 70.0)
        self._run_queue()
        for contract, credited in ((order, 345.0), (other, 80.5)):
            invoice = self._invoices(contract.milestone_ids)
            self.assertMoney(contract.currency_id, invoice.amount_total - invoice.amount_residual, credited)
            credits = contract.milestone_ids.invoice_line_ids.move_id - invoice
            self.assertEqual(credits.line_ids.matched_debit_ids.debit_move_id.move_id, invoice)
            self.assertEqual(set(credits.mapped("payment_state")), {"paid"})

    def test_a_credit_note_gives_back_the_retention_of_its_own_contract(self):
        for credit in ("change order", "credit note", "after the payment"):
            with self.subTest(credit=credit):
                first, second = self._create_retained([1000.0]), self._create_retained([1000.0])
                invoice = self._bill_together(first, second)
                if credit == "after the payment":
                    self._release(second)
                    self._pay(invoice)
                    self._pay(invoice)
                    self.assertRetention((first, (100.0, 0.0, 0.0, 100.0)), (second, (100.0, 100.0, 100.0, 0.0)))
                if credit == "change order":
                    self._reduce(second, 500.0)
                    self.client_company.action_bill_milestones()
                else:
                    self._credit(invoice, edit=partial(self._halve, second.milestone_ids))
                paid = 100.0 if credit == "after the payment" else 0.0
                self.assertRetention(
                    (first, (100.0, 0.0, 0.0, 100.0)),
                    (second, (50.0, min(paid, 50.0), paid, -50.0 if paid else 50.0)),
                )

    def _halve(self, milestone, refund):
        for line in refund.invoice_line_ids:
            if line.billing_milestone_id == milestone:
                line.quantity = 0.5
        (refund.invoice_line_ids - milestone.invoice_line_ids).unlink()

    def test_a_payment_pays_what_is_released_of_each_contract(self):
        for pay in (self._pay, self._pay_online):
            with self.subTest(pay=pay.__name__):
                first, second = self._create_retained([1000.0]), self._create_retained([1000.0])
                invoice = self._bill_together(first, second)
                self._pay(invoice)
                self._release(second, 40.0)
                self.assertEqual(invoice._get_invoice_next_payment_values()["next_amount_to_pay"], 40.0)
                pay(invoice, 40.0)
                self.assertRetention((first, (100.0, 0.0, 0.0, 100.0)), (second, (100.0, 40.0, 40.0, 60.0)))
                self.assertFalse(invoice._has_to_be_paid())
                self._release(first, 50.0)
                self._release(second, 30.0)
                asked = invoice._get_invoice_next_payment_values()
                self.assertEqual(
                    (asked["next_amount_to_pay"], asked["amount_due"]), (80.0, 80.0), "one day, one payment"
                )
                self.assertFalse(asked["installment_state"])
                pay(invoice, 80.0)
                self.assertRetention((first, (100.0, 50.0, 50.0, 50.0)), (second, (100.0, 70.0, 70.0, 30.0)))
                self._release(first, 50.0)
                self._release(second, 30.0)
                pay(invoice, 60.0)
                pay(invoice, 20.0)
                self.assertRetention((first, (100.0, 100.0, 100.0, 0.0)), (second, (100.0, 100.0, 100.0, 0.0)))
                self.assertEqual(invoice.payment_state, self.env["account.move"]._get_invoice_in_payment_state())

    def test_released_parts_are_paid_in_another_currency_at_another_rate(self):
        currency = self._create_currency("RMT", 0.01, {"2020-01-01": 2.0, self.today: 3.0})
        pricelist = self.env["product.pricelist"].create({"name": "RMT", "currency_id": currency.id})
        first, second = (self._create_retained([1000.0], pricelist_id=pricelist.id) for _number in range(2))
        for order in (first, second):
            self._approve(order.milestone_ids)
        with patch.object(self.registry["account.move"], "action_post", lambda move: None):
            self.client_company.action_bill_milestones()
        invoice = first.milestone_ids.invoice_line_ids.move_id
        invoice.invoice_date = "2020-06-01"
        invoice.action_post()
        self.assertEqual(invoice.amount_total_signed, 1150.0)
        self._pay(invoice)
        self._release(first, 33.33)
        self._release(second, 40.0)
        self._pay(invoice, 73.33)
        self.assertRetention((first, (100.0, 33.33, 33.33, 66.67)), (second, (100.0, 40.0, 40.0, 60.0)))
        self._release(first)
        self._release(second)
        self._pay(invoice, 126.67)
        self.assertRetention((first, (100.0, 100.0, 100.0, 0.0)), (second, (100.0, 100.0, 100.0, 0.0)))
        items = self._items(first) | self._items(second)
        self.assertEqual(items.mapped("amount_residual"), [0.0, 0.0])
        self.assertTrue(all(item.full_reconcile_id for item in items))

    def test_an_exchange_difference_settles_what_is_released_and_nothing_that_is_withheld(self):
        own = self.company.currency_id
        foreign = self._create_currency("RME", 0.01, {"2020-01-01": 2.0, self.today: 2.5})
        third = self._create_currency("RMY", 0.01, {"2020-01-01": 4.0})
        for agreed, paid, asked in ((foreign, own, 40.0), (foreign, third, 200.0), (own, foreign, 250.0)):
            with self.subTest(agreed=agreed.name, paid=paid.name):
                first, second, invoice = self._bill_in_the_past(agreed)
                self._release(first, 60.0)
                self._release(second, 40.0)
                wizard = self._difference_is_of_exchange(invoice, paid, 0.75 * asked)
                self.assertEqual(wizard.payment_difference, 0.25 * asked)
                wizard.save()._create_payments()
                self.assertRetention((first, (100.0, 60.0, 60.0, 40.0)), (second, (100.0, 40.0, 40.0, 60.0)))
                self._release(second, 30.0)
                self._difference_is_of_exchange(invoice, paid, 0.25 * asked).save()._create_payments()
                self.assertRetention((first, (100.0, 60.0, 60.0, 40.0)), (second, (100.0, 70.0, 70.0, 30.0)))
                self.assertEqual((invoice.amount_residual, invoice.payment_state), (70.0, "partial"))

    def test_what_is_no_exchange_difference_is_paid_at_the_rate_of_the_day(self):
        foreign = self._create_currency("RMD", 0.01, {"2020-01-01": 2.0, self.today: 2.5})
        for amount, paid in ((20.0, (50.0, 0.0)), (40.0, (60.0, 40.0)), (60.0, (100.0, 50.0))):
            with self.subTest(amount=amount):
                first, second, invoice = self._bill_in_the_past(foreign)
                self._release(first, 60.0)
                self._release(second, 40.0)
                wizard = self._difference_is_of_exchange(invoice, self.company.currency_id, 10.0)
                wizard.amount = amount
                self.assertEqual(wizard.payment_difference_handling, "open")
                wizard.save()._create_payments()
                self.assertEqual((first.retention_paid, second.retention_paid), paid)
                self.assertListIsLedger(first, second)

    def _bill_in_the_past(self, currency):
        """Return two contracts and their invoice, of a day with other rates, whose trade part is paid."""
        values = {"currency": currency, "milestone_invoice_policy": "draft"}
        orders = [self._create_retained([1000.0], **values) for _number in range(2)]
        invoice = self._bill_together(*orders)
        invoice.invoice_date = "2020-06-01"
        invoice.action_post()
        self._pay(invoice)
        return *orders, invoice

    def _difference_is_of_exchange(self, invoice, currency, amount):
        """Return the dialog of somebody for whom what is missing of a payment is an exchange difference."""
        wizard = Form(
            self.env["account.payment.register"].with_context(active_model="account.move", active_ids=invoice.ids)
        )
        wizard.currency_id = currency
        wizard.amount = amount
        wizard.payment_difference_handling = "reconcile"
        wizard.writeoff_account_id = self.company.expense_currency_exchange_account_id
        return wizard

    def test_a_credit_note_in_another_currency_leaves_nothing_of_its_rounding(self):
        currency = self._create_currency("RMX", 0.001, {"2020-01-01": 1.7})
        pricelist = self.env["product.pricelist"].create({"name": "RMX", "currency_id": currency.id})
        order = self._create_retained([9876.54], pricelist_id=pricelist.id, milestone_invoice_schedule="at_once")
        invoice = self._bill(order.milestone_ids)
        refund = self._credit(invoice, edit=lambda refund: refund.invoice_line_ids.write({"quantity": 0.9}))
        self.assertEqual(refund.retention_amount, 888.889)
        given_back = refund.line_ids.filtered("retention_order_id")
        self.assertEqual((given_back.amount_residual, given_back.amount_residual_currency), (0.0, 0.0))
        kept = self.env["account.move.line"].search(
            [("account_id", "=", self.retention_account.id), ("parent_state", "=", "posted")]
        )
        self.assertMoney(self.company.currency_id, sum(kept.mapped("balance")), sum(kept.mapped("amount_residual")))
        self.assertFalse((kept - self._items(order)).filtered("amount_residual"), "exchange differences are matched")

    def test_what_is_paid_twice_online_takes_no_retention(self):
        order = self._create_retained([1000.0])
        invoice = self._bill_together(order)
        for _time in range(2):
            payment = self._pay_online(invoice, 1050.0)
            self.assertEqual(payment.destination_account_id, self.trade_account)
        self.assertRetention((order, (100.0, 0.0, 0.0, 100.0)))
        self.assertEqual(invoice.amount_residual, 100.0)
        self._release(order, 40.0)
        payment = self._pay_online(invoice, 1050.0)
        self.assertEqual(payment.destination_account_id, self.trade_account)
        payment = self._pay_online(invoice, 40.0)
        self.assertEqual(payment.destination_account_id, self.retention_account)
        self.assertRetention((order, (100.0, 40.0, 40.0, 60.0)))

    def test_a_refund_of_retention_that_was_paid_online_opens_it_again(self):
        order = self._create_retained([1000.0])
        invoice = self._bill_together(order)
        trade = self._pay_online(invoice, 1050.0)
        self._release(order, 40.0)
        retention = self._pay_online(invoice, 40.0)
        for payment, account in ((trade, self.trade_account), (retention, self.retention_account)):
            refund = self._refund(payment)
            self.assertEqual((refund.payment_type, refund.destination_account_id), ("outbound", account))
        items = (retention | refund).move_id.line_ids.filtered(lambda line: line.account_id == self.retention_account)
        items.remove_move_reconcile()
        items.reconcile()
        self.assertTrue(all(items.mapped("reconciled")))
        self.assertRetention((order, (100.0, 40.0, 0.0, 60.0)))
        self.assertEqual((order.retention_due, invoice.amount_residual), (40.0, 100.0))

    def test_a_refund_of_retention_that_was_captured_in_parts_goes_to_its_account(self):
        order = self._create_retained([1000.0])
        invoice = self._bill_together(order)
        self._pay(invoice)
        self._release(order, 40.0)
        payment = self._collect(self._start_online_payment(invoice, 40.0)._create_child_transaction(15.0))
        self.assertEqual(self._refund(payment).destination_account_id, self.retention_account)

    def _refund(self, payment):
        """Let a payment provider say that it paid back what it was paid; return the payment."""
        paid = payment.with_env(self.env).payment_transaction_id
        return self._collect(paid._create_child_transaction(payment.amount, is_refund=True))

    def test_qr_codes_ask_for_what_the_invoice_asks_for(self):
        order = self._create_retained([1000.0])
        invoice = self._bill_together(order)
        asked, amounts = [], []

        def build(_bank, amount, *_args, **_kwargs):
            amounts.append(amount)

        def ask():
            link = parse_qs(urlsplit(invoice._get_portal_payment_link()).query)
            asked.append(float(link["amount"][0]) if invoice.display_link_qr_code else None)
            invoice.qr_code_method = False
            invoice._generate_qr_code()

        bank = self.registry["res.partner.bank"]
        self.company.write({"qr_code": True, "link_qr_code": True})
        invoice.partner_bank_id = self.env["res.partner.bank"].create(
            {"acc_number": "BE71096123456769", "partner_id": self.company.partner_id.id, "allow_out_payment": True}
        )
        with (
            patch.object(bank, "get_available_qr_methods_in_sequence", lambda _bank: [("sct_qr", "SEPA")]),
            patch.object(bank, "_get_error_messages_for_qr", lambda *_args: None),
            patch.object(bank, "_build_qr_code_vals", build),
        ):
            ask()
            self._pay(invoice)
            ask()
            self._release(order, 40.0)
            ask()
        self.assertEqual(asked, [1050.0, None, 40.0])
        self.assertEqual(amounts, [1050.0, 40.0])

    def test_a_link_asks_for_no_more_than_is_asked(self):
        order = self._create_retained([1000.0])
        invoice = self._bill_together(order)
        for amount, expected in ((2000.0, 1050.0), (1150.0, 1050.0), (500.0, 500.0)):
            self.assertEqual(invoice._get_invoice_next_payment_values(amount)["next_amount_to_pay"], expected)

    def test_what_a_credit_note_gave_back_stays_retained_by_something(self):
        self.company.milestone_invoice_schedule = "at_once"
        order = self._create_retained([1000.0, 1000.0], cap=4.0)
        invoice = self._bill(order.milestone_ids[0])
        credit = self._credit(invoice)
        self._change(order, {"action": "cancel", "milestone_id": order.milestone_ids[1].id})
        again = self._credit(credit)
        self.assertEqual([move.retention_amount for move in (invoice, credit, again)], [80.0, 80.0, 40.0])
        with self.assertRefused(f"{credit.name} take back what {invoice.name} bills"):
            invoice.button_draft()
        again.button_draft()
        again.button_cancel()
        credit.button_draft()
        invoice.button_draft()
        self.assertRetention((order, (0.0, 0.0, 0.0, 0.0)))

    def test_what_a_company_is_paid_for_its_branch_agrees_with_the_ledger(self):
        branch = self.env["res.company"].create({"name": "Branch", "parent_id": self.company.id})
        (self.env.user | self.users["accountant"]).write({"company_ids": [Command.link(branch.id)]})
        branch.write({"milestone_product_id": self.milestone_product.id, "milestone_create_project": False})
        companies = self.company | branch
        values = {"milestone_invoice_schedule": "at_once", "user_id": self.env.uid}
        orders = [self._create_retained([1000.0], company_id=company.id, **values) for company in companies]
        invoices = self.env["account.move"].union(*(self._bill(order.milestone_ids) for order in orders))
        self._pay(invoices, group_payment=True)
        foreign = self._create_currency("RMB", 0.01, {"2020-01-01": 2.0})
        for currency, paid in ((self.company.currency_id, 40.0), (foreign, 100.0)):
            with self.subTest(currency=currency.name):
                for order in orders:
                    self._release(order, paid - order.retention_paid)
                payment = self._pay(invoices, group_payment=True, currency_id=currency.id)
                self.assertEqual((payment.company_id, payment.currency_id), (self.company, currency))
                self.assertRetention(*((order, (100.0, paid, paid, 100.0 - paid)) for order in orders))
                checks = self.env["sale.retention.check"].search([("account_id", "=", self.retention_account.id)])
                self.assertEqual(checks.company_id, companies)
                self.assertEqual(set(checks.mapped("difference")), {0.0})
                self.assertEqual(set(checks.mapped("difference_company")), {0.0})
                self.assertEqual(sum(checks.mapped("listed_company")), 200.0 - 2 * paid)

    def test_full_reversal_of_an_invoice_of_several_contracts(self):
        first, second = self._create_retained([1000.0]), self._create_retained([500.0])
        invoice = self._bill_together(first, second)
        self._credit(invoice)
        self.assertRetention((first, (0.0, 0.0, 0.0, 0.0)), (second, (0.0, 0.0, 0.0, 0.0)))
        self.assertEqual(invoice.payment_state, "reversed")
