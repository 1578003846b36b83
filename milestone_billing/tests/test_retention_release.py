import os
import random
from datetime import date, timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import SUPERUSER_ID
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from odoo.addons.base.models.ir_cron import IrCron
from odoo.addons.milestone_billing.models.sale_order_retention import UNRELEASED

from .retention_common import RetentionCommon


@tagged("post_install", "-at_install")
class TestRetentionRelease(RetentionCommon):
    """Release in part and in full, by hand and by contract, and what the client is asked for."""

    def _run_cron(self):
        with patch.object(IrCron, "_commit_progress", lambda self, *args, **kwargs: float("inf")):
            self.env(user=SUPERUSER_ID, su=True, context={})["sale.order"]._cron_release_retention()
        self.env.invalidate_all()

    def test_release_in_full_makes_it_due(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(self._items(order).date_maturity, UNRELEASED)
        due = self.today + timedelta(days=14)
        release = self._release(order, due_date=due)
        self.assertEqual((release.amount, release.amount_owed, release.due_date), (1000.0, 1000.0, due))
        self.assertEqual(self._items(order).date_maturity, due)
        self.assertEqual((order.retention_released, order.retention_withheld, order.retention_due), (1000.0, 0.0, 0.0))
        self.assertEqual(self._entries(invoice)[self.retention_account], (1000.0, 0.0))
        with freeze_time(due):
            self.env.invalidate_all()
            self.assertEqual(order.retention_due, 1000.0)
        self._pay(invoice)
        self._pay(invoice)
        self.assertEqual((invoice.payment_state, release.amount_owed), ("paid", 0.0))
        self.assertListIsLedger(order)
        self.assertEqual(order.retention_paid, 1000.0)

    def test_days_are_those_of_the_company(self):
        self.company.partner_id.tz = "America/Los_Angeles"
        with freeze_time("2027-01-01 01:00:00"):
            order = self._create_retained(
                [1000.0], milestone_retention_trigger="date", milestone_retention_date=date(2027, 1, 1)
            )
            self._bill(order.milestone_ids)
            self._run_cron()
            self.assertFalse(order.retention_release_ids, "still the last day of the year, there")
            release = self._release(order)
            self.assertEqual((release.date, release.due_date), (date(2026, 12, 31), date(2026, 12, 31)))
            self.assertFalse(release._is_overdue())
        with freeze_time("2027-01-01 09:00:00"):
            self.assertTrue(release._is_overdue())

    def test_release_in_part_takes_the_oldest_invoices_first(self):
        order = self._create_retained([1000.0, 2000.0, 3000.0])
        invoices = self._bill(order.milestone_ids)
        release = self._release(order, 250.0)
        self.assertEqual(release.line_ids.move_id, invoices[:2])
        self.assertEqual(release.line_ids.mapped("amount"), [100.0, 150.0])
        self.assertEqual([item.date_maturity == UNRELEASED for item in self._items(order)], [False, True, True])
        self.assertEqual(order.retention_withheld, 350.0)
        self.assertListIsLedger(order)
        self._release(order, 50.0)
        self.assertNotEqual(self._items(order)[1].date_maturity, UNRELEASED)
        self.assertListIsLedger(order)

    def test_only_what_is_released_is_asked_for(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        values = invoice._get_invoice_next_payment_values()
        self.assertEqual((values["next_amount_to_pay"], values["amount_due"]), (10500.0, 10500.0))
        self._pay(invoice)
        self.assertFalse(invoice._has_to_be_paid())
        self.assertEqual(invoice._get_invoice_next_payment_values()["amount_due"], 0.0)
        self._release(order, 400.0)
        values = invoice._get_invoice_next_payment_values()
        self.assertEqual((values["next_amount_to_pay"], values["amount_due"]), (400.0, 400.0))
        self.assertTrue(invoice._has_to_be_paid())
        payment = self._pay(invoice)
        self.assertEqual(payment.amount, 400.0)
        self.assertEqual((order.retention_paid, order.retention_withheld), (400.0, 600.0))
        self.assertFalse(invoice._has_to_be_paid())
        self.assertListIsLedger(order)

    def test_online_payment_of_released_retention(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice)
        release = self._release(order, 400.0)
        payment = self._pay_online(invoice, 400.0)
        self.assertEqual(payment.destination_account_id, self.retention_account)
        self.assertTrue(payment.move_id)
        self.assertEqual(invoice.amount_residual, 600.0)
        self.assertEqual(release.amount_paid, 400.0)
        self.assertListIsLedger(order)

    def test_online_payment_of_released_retention_that_is_captured_in_parts(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice)
        self._release(order, 400.0)
        authorized = self._start_online_payment(invoice, 400.0)
        for amount in (150.0, 250.0):
            payment = self._collect(authorized._create_child_transaction(amount))
            self.assertEqual(payment.destination_account_id, self.retention_account)
        self.assertEqual((order.retention_paid, order.retention_due, invoice.amount_residual), (400.0, 0.0, 600.0))
        self.assertListIsLedger(order)

    def test_what_was_paid_before_its_release_pays_nothing_of_what_is_released_later(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice)
        self._pay(invoice, 400.0)
        self.assertEqual((order.retention_withheld, order.retention_released), (600.0, 0.0))
        release = self._release(order, 500.0)
        self.assertEqual((release.amount, release.amount_paid, release.amount_owed), (500.0, 0.0, 500.0))
        self.assertEqual((order.retention_withheld, order.retention_due), (100.0, 500.0))
        paid = order.retention_release_ids - release
        self.assertEqual((paid.origin, paid.amount, paid.amount_owed), ("payment", 400.0, 0.0))
        self.assertFalse(paid.announce)
        self.assertListIsLedger(order)
        with self.assertRefused("what is paid stays released"):
            paid.with_user(self.users["accountant"]).action_cancel()
        release.with_user(self.users["accountant"]).action_cancel()
        self.assertEqual((order.retention_withheld, order.retention_due), (600.0, 0.0))
        self._release(order)
        self.assertEqual(len(order.retention_release_ids), 3, "what is paid is released once")
        self.assertEqual(invoice._get_asked_amount(), 600.0)
        self.assertEqual(self._pay(invoice).amount, 600.0)
        self.assertEqual((order.retention_paid, order.retention_withheld), (1000.0, 0.0))
        self.assertListIsLedger(order)

    def test_what_is_withheld_is_not_written_off(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice)
        self._release(order, 400.0)
        self.assertEqual(self._mark_as_paid(invoice, 390.0), 10.0)
        self.assertEqual((order.retention_due, order.retention_withheld, order.retention_paid), (0.0, 600.0, 400.0))
        self.assertEqual(self._mark_as_paid(invoice, 500.0), 0.0)
        self.assertEqual((order.retention_withheld, invoice.amount_residual), (100.0, 100.0))
        self.assertListIsLedger(order)

    def _mark_as_paid(self, invoice, amount):
        """Pay as somebody who writes off what is missing; return how much that is."""
        wizard = Form(
            self.env["account.payment.register"].with_context(active_model="account.move", active_ids=invoice.ids)
        )
        wizard.amount = amount
        difference = wizard.payment_difference
        if difference:
            wizard.payment_difference_handling = "reconcile"
            wizard.writeoff_account_id = self.company_data["default_account_expense"]
        wizard.save()._create_payments()
        return difference

    def test_more_than_is_left_is_refused(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        with self.assertRefused("100.00.*100.01 cannot be released"):
            self._release(order, 100.01)
        for amount in (0.0, -5.0, 0.001):
            with self.assertRefused("above zero"):
                self._release(order, amount)
        self._release(order)
        with self.assertRefused("no retention is left"):
            self._release(order)

    def test_only_accountants_release(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        for role in ("salesperson", "sale_manager", "invoicing", "project_manager", "employee"):
            with self.assertRefused("Only accountants", AccessError):
                order.with_user(self.users[role]).action_release_retention()
        release = self._release(order)
        with self.assertRefused("Only accountants", AccessError):
            release.with_user(self.users["invoicing"]).action_cancel()
        for values in ({"amount": 1.0}, {"state": "cancelled"}):
            with self.assertRaises(AccessError):
                release.with_user(self.users["accountant"]).write(values)
        with self.assertRaises(AccessError):
            self.env["sale.retention.release"].with_user(self.users["accountant"]).create({"order_id": order.id})
        with self.assertRaises(UserError):
            release.with_user(self.users["accountant"]).unlink()

    def test_cancelled_release(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        release = self._release(order).with_user(self.users["accountant"])
        release.action_cancel()
        self.assertEqual((order.retention_released, order.retention_withheld), (0.0, 100.0))
        self.assertEqual(self._items(order).date_maturity, UNRELEASED)
        with self.assertRefused("cancelled already"):
            release.action_cancel()
        with self.assertRefused("nothing is asked for"):
            release.action_announce()
        again = self._release(order).with_user(self.users["accountant"])
        self._pay(invoice)
        self._pay(invoice, 30.0)
        with self.assertRefused("30.00 of .* is paid"):
            again.action_cancel()

    def test_a_released_invoice_stays_posted(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        release = self._release(order)
        with self.assertRefused("Cancel the release first"):
            invoice.button_draft()
        release.with_user(self.users["accountant"]).action_cancel()
        invoice.button_draft()
        self.assertEqual(invoice.state, "draft")
        invoice.with_context(force_delete=True).unlink()
        self.assertEqual((release.state, release.line_ids.ids), ("cancelled", []))

    def test_a_release_that_was_taken_back_leaves_the_invoice_free(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        release = self._release(order)
        refund = self._credit(invoice)
        self.assertEqual((release.state, release.amount, order.retention_released), ("cancelled", 0.0, 0.0))
        (refund | invoice).button_draft()
        (refund | invoice).with_context(force_delete=True).unlink()
        self.assertListIsLedger(order)

    def test_credit_after_release_takes_the_release_back(self):
        order = self._create_retained([1000.0, 500.0])
        first, _second = self._bill(order.milestone_ids)
        release = self._release(order)
        self._credit(first, edit=self._edit_lines(0.25))
        self.assertEqual(release.amount, 125.0)
        self.assertEqual((order.retention_retained, order.retention_released), (125.0, 125.0))
        self.assertListIsLedger(order)
        rest = self._credit(first, edit=self._edit_lines(0.75))
        self.assertEqual(rest.retention_amount, 75.0)
        self.assertEqual((release.amount, order.retention_released), (50.0, 50.0))
        self.assertListIsLedger(order)

    def test_a_credit_that_another_invoice_takes_leaves_what_is_released_to_be_paid(self):
        """The client paid a retention, got half of it back, and the credit is set against the next invoice."""
        order = self._create_retained([1000.0, 1000.0])
        first, second = self._bill(order.milestone_ids)
        self._pay(first)
        self._pay(first)
        refund = self._credit(first, edit=self._edit_lines(0.5))
        self.assertEqual(order.retention_withheld, 50.0, "100.00 of the second, less 50.00 that were paid too much")
        order._release_retention()
        items = (refund | second).line_ids.filtered("retention_order_id")
        items.reconcile()
        self.assertEqual((order.retention_withheld, order.retention_paid), (0.0, 100.0))
        self.assertListIsLedger(order)
        self._pay(second)
        self._pay(second)
        self.assertEqual(second.payment_state, "paid", "the 50.00 that are released were asked for, and no less")
        self.assertEqual((order.retention_withheld, order.retention_paid), (0.0, 150.0))
        self.assertListIsLedger(order)

    def test_a_credit_that_is_set_against_what_is_released_takes_the_release_back(self):
        """As above, but all of the next invoice's retention is released already: of that, half is credited."""
        order = self._create_retained([1000.0, 1000.0, 1000.0])
        first, second, third = self._bill(order.milestone_ids)
        self._pay(first)
        self._pay(first)
        refund = self._credit(first, edit=self._edit_lines(0.5))
        release = self._release(order)
        items = (second | third).line_ids.filtered("retention_order_id")
        self.assertEqual(items.mapped("retention_released"), [100.0, 50.0])
        (refund | second).line_ids.filtered("retention_order_id").reconcile()
        self.assertEqual((release.amount, items.mapped("retention_released")), (100.0, [50.0, 50.0]))
        self.assertEqual(order.retention_withheld, 50.0, "of the third, which nobody was asked for")
        self.assertListIsLedger(order)
        self._release(order)
        for invoice in (second, third):
            self._pay(invoice)
            self._pay(invoice)
            self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(order.retention_withheld, 0.0)
        self.assertListIsLedger(order)

    def test_a_closed_period_does_not_keep_it_from_being_released(self):
        order = self._create_retained([1000.0], milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        invoice.invoice_date = date(2026, 1, 15)
        invoice.action_post()
        self.company.fiscalyear_lock_date = date(2026, 3, 31)
        self.company.hard_lock_date = date(2026, 3, 31)
        self._release(order, 40.0)
        self._release(order)
        self.assertNotEqual(self._items(order).date_maturity, UNRELEASED)
        self._pay(invoice)
        self._pay(invoice)
        self.assertEqual(invoice.payment_state, "paid")
        self.assertListIsLedger(order)

    def test_release_on_a_date(self):
        day = self.today + timedelta(days=30)
        order = self._create_retained([1000.0], trigger="date", date=day)
        self._bill(order.milestone_ids)
        self.assertEqual(self._items(order).date_maturity, day)
        self._run_cron()
        self.assertFalse(order.retention_release_ids)
        with freeze_time(day + timedelta(days=1)):
            self._run_cron()
            self._run_cron()
        self.assertEqual(len(order.retention_release_ids), 1)
        self.assertEqual(order.retention_release_ids.origin, "date")
        self.assertEqual(order.retention_released, 100.0)
        self.assertTrue(order.retention_release_ids.announced_on)

    def test_release_after_the_last_approval(self):
        order = self._create_retained([1000.0, 500.0], trigger="milestone", days=10)
        self._bill(order.milestone_ids[0])
        with freeze_time(self.today + timedelta(days=20)):
            self._run_cron()
            self.assertFalse(order.retention_release_ids)
            self._bill(order.milestone_ids[1])
        with freeze_time(self.today + timedelta(days=32)):
            self._run_cron()
        self.assertEqual(order.retention_release_ids.amount, 150.0)

    def test_release_after_a_chosen_milestone(self):
        order = self._create_contract([1000.0, 500.0], confirm=False)
        order.write(
            {
                "milestone_retention_percentage": 10.0,
                "milestone_retention_trigger": "milestone",
                "milestone_retention_milestone_id": order.milestone_ids[0].id,
            }
        )
        order.action_confirm()
        self._bill(order.milestone_ids[0])
        with freeze_time(self.today + timedelta(days=1)):
            self._run_cron()
        self.assertEqual(order.retention_released, 100.0)

    def test_the_client_is_told_and_reminded(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        release = self._release(order, note="Thank you for the good work")
        self.assertFalse(release.announced_on)
        self._run_cron()
        self.assertTrue(release.announced_on)
        message = release.message_ids.filtered(lambda message: invoice.name in (message.body or ""))
        self.assertIn("Thank you for the good work", message.body)
        self.assertIn("Please pay it by", message.body)
        self.assertEqual(message.partner_ids, self.client_company)
        count = len(release.message_ids)
        with freeze_time(self.today + timedelta(days=3)):
            self._run_cron()
            self._run_cron()
        self.assertEqual(len(release.activity_ids), 1)
        self.assertGreater(len(release.message_ids), count)
        reminder = release.message_ids.filtered(lambda message: "It was due on" in (message.body or ""))
        self.assertNotIn("Please pay it by", reminder.body)
        self.assertIn("overdue retention", reminder.subject)
        count = len(release.message_ids)
        with freeze_time(self.today + timedelta(days=5)):
            self._run_cron()
        self.assertEqual(len(release.message_ids), count)

    def test_other_companies_see_nothing(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        release = self._release(order)
        self.env.flush_all()
        stranger = self._create_role_user("retention_other", "account.group_account_user")
        other = self.env["res.company"].create({"name": "Other"})
        stranger.write({"company_ids": [(6, 0, other.ids)], "company_id": other.id})
        self.assertFalse(self.env["sale.retention.report"].with_user(stranger).search([("order_id", "=", order.id)]))
        self.assertFalse(self.env["sale.retention.release"].with_user(stranger).search([("id", "=", release.id)]))
        self.assertFalse(
            self.env["sale.retention.check"]
            .with_user(stranger)
            .search([("account_id", "=", self.retention_account.id)])
        )

    def test_salespeople_see_their_own(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        self.env.flush_all()
        domain = [("order_id", "=", order.id)]
        Report = self.env["sale.retention.report"]
        self.assertTrue(Report.with_user(self.users["salesperson"]).search(domain))
        other = self._create_role_user("retention_sales", "sales_team.group_sale_salesman")
        self.assertFalse(Report.with_user(other).search(domain))


@tagged("post_install", "-at_install")
class TestRetentionLives(RetentionCommon):
    """Random lives of contracts: the list is the ledger after every step, and everything ends at zero."""

    def test_a_payment_of_several_invoices_leaves_what_is_not_released(self):
        released, kept = self._create_retained([1000.0]), self._create_retained([3000.0])
        invoices = self._bill(released.milestone_ids) | self._bill(kept.milestone_ids)
        for invoice in invoices:
            self._pay(invoice)
        self._release(released)
        self.env.flush_all()
        payment = self._pay(invoices, group_payment=True)
        self.assertEqual(payment.amount, 100.0)
        self.assertEqual((released.retention_paid, kept.retention_paid), (100.0, 0.0))
        self.env.flush_all()
        self.assertEqual(self._pay(invoices).amount, 300.0, "who chooses nothing else pays what is not asked for yet")
        self.assertListIsLedger(released, kept)

    def test_a_payment_per_invoice_pays_what_is_released_of_it(self):
        first, second = self._create_retained([1000.0]), self._create_retained([2000.0])
        invoices = self._bill(first.milestone_ids) | self._bill(second.milestone_ids)
        for invoice in invoices:
            self._pay(invoice)
        self._release(first, 30.0)
        self._release(second, 50.0)
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoices.ids)
            .create({})
        )
        self.assertEqual((wizard.amount, wizard.group_payment), (80.0, False))
        payments = wizard._create_payments()
        self.assertEqual(sorted(payments.mapped("amount")), [30.0, 50.0])
        self.assertEqual((first.retention_withheld, second.retention_withheld), (70.0, 150.0))
        self.assertListIsLedger(first, second)

    def test_of_several_invoices_each_is_paid_what_is_asked_for_of_it(self):
        """Of one the trade part is open, of another what is released, and of the third nothing is asked for."""
        new, released, kept = (self._create_retained([amount]) for amount in (1000.0, 2000.0, 3000.0))
        invoices = self.env["account.move"].union(*(self._bill(order.milestone_ids) for order in (new, released, kept)))
        for order in (released, kept):
            self._pay(order.invoice_ids)
        self._release(released)
        payments = self._pay(invoices)
        self.assertEqual(sorted(payments.mapped("amount")), [200.0, 1050.0])
        self.assertEqual((released.retention_paid, kept.retention_withheld), (200.0, 300.0))
        self.assertListIsLedger(new, released, kept)

    def test_random_lives(self):
        self.currencies = [
            self.company.currency_id,
            self._create_currency("XA0", 1.0, {"2020-01-01": 151.3}),
            self._create_currency("XA3", 0.001, {"2020-01-01": 0.307, str(self.today): 0.311}),
        ]
        for seed in range(int(os.environ.get("MILESTONE_RETENTION_LIVES", "6"))):
            with self.subTest(seed=seed):
                self._live(random.Random(seed))

    def _live(self, rng):
        self.company.tax_calculation_rounding_method = rng.choice(["round_per_line", "round_globally"])
        self.company.milestone_invoice_grouping = rng.choice(["milestone", "order"])
        currency = rng.choice(self.currencies)
        factor = 1000 if currency.rounding == 1.0 else 1
        percentage = rng.choice([5.0, 7.5, 10.0])
        terms = {"base": rng.choice(["untaxed", "total"]), "cap": rng.choice([0.0, 4.0])}
        if rng.random() < 0.5:
            terms.update(reduced_percentage=percentage / 2, reduced_after=rng.choice([33.3, 50.0]))
        amounts = [round(rng.uniform(10, 2000) * factor, 3) for _number in range(rng.randint(2, 5))]
        order = self._create_retained(
            amounts, percentage, currency=currency, milestone_invoice_policy=rng.choice(["post", "draft"]), **terms
        )
        self.waiting, self.credited = list(order.milestone_ids), False
        steps = {
            "bill": self._bill_something,
            "post": self._post_something,
            "pay": self._pay_something,
            "release": self._release_something,
            "credit": self._credit_something,
            "cancel": self._cancel_something,
        }
        for _step in range(14):
            action = rng.choice(["bill", "bill", "post", "pay", "pay", "release", "release", "credit", "cancel"])
            steps[action](rng, order)
            self.assertListIsLedger(order)
            if not self.credited:
                self.assertRetainedAsAgreed(order)
        self._finish(order)

    def _bill_something(self, rng, order):
        batch = order.milestone_ids.browse([milestone.id for milestone in self.waiting[: rng.randint(1, 2)]])
        self.waiting = [milestone for milestone in self.waiting if milestone not in batch]
        self._bill(batch)

    def _post_something(self, rng, order):
        drafts = order.invoice_ids.filtered(lambda move: move.state == "draft")
        drafts[: rng.randint(1, 3)].action_post()

    def _release_something(self, rng, order):
        amount = order.currency_id.round(order._get_releasable() * rng.choice([1.0, 0.37]))
        if amount:
            self._release(order, amount)

    def _cancel_something(self, rng, order):
        for release in order.retention_release_ids:
            if release.state == "released" and order.currency_id.is_zero(release.amount_paid):
                release.with_user(self.users["accountant"]).action_cancel()
                return

    def assertRetainedAsAgreed(self, order):
        posted = order.invoice_ids.filtered(lambda move: move.state == "posted")
        billed = sum(move._get_retention_bases().get(order, 0.0) for move in posted)
        self.assertMoney(order.currency_id, order.retention_retained, order._get_retention_target(billed))

    def _pay_something(self, rng, order):
        invoices = order.invoice_ids.filtered(
            lambda move: move.state == "posted" and move.move_type == "out_invoice" and move.amount_residual > 0.0
        )
        if invoices:
            invoice = rng.choice(list(invoices))
            self._pay(invoice, None if rng.random() < 0.6 else invoice.currency_id.round(invoice.amount_residual / 3))

    def _credit_something(self, rng, order):
        invoices = order.invoice_ids.filtered(
            lambda move: (
                move.state == "posted"
                and move.move_type == "out_invoice"
                and move.payment_state == "not_paid"
                and not move.reversal_move_ids
            )
        )
        if not invoices or rng.random() < 0.5:
            return
        self.credited = True
        self._credit(rng.choice(list(invoices)), edit=self._edit_lines(0.3) if rng.random() < 0.5 else None)

    def _finish(self, order):
        self._bill(order.milestone_ids.browse([milestone.id for milestone in self.waiting]))
        order.invoice_ids.filtered(lambda move: move.state == "draft").action_post()
        if order._get_releasable():
            self._release(order)
        for _round in range(3):
            for invoice in order.invoice_ids.filtered(
                lambda move: move.move_type == "out_invoice" and move.amount_residual > 0.0
            ):
                self._pay(invoice)
        self.assertListIsLedger(order)
        open_items = self._items(order).filtered(lambda item: item.amount_residual or item.amount_residual_currency)
        self.assertFalse(open_items, "everything is released and paid")
        self.assertMoney(order.currency_id, order.retention_withheld, 0.0)
