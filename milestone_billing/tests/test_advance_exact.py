import random
from datetime import timedelta

from odoo import fields
from odoo.fields import Command
from odoo.tests import tagged

from ..models.taxed_amount import TaxedAmount
from .test_advance import AdvanceCommon


@tagged("post_install", "-at_install")
class TestAdvanceExact(AdvanceCommon):
    """Whatever the terms, taxes and currencies: all documents together are the order, and the account is zero."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fixed_tax = cls.env["account.tax"].create(
            {"name": "Fixed 1.23", "amount_type": "fixed", "amount": 1.23, "sequence": 1}
        )
        cls.tax_withheld = cls.env["account.tax"].create({"name": "Withheld 15 %", "amount": -15.0})
        cls.tax_sets = [
            cls.env["account.tax"],
            cls.tax_10,
            cls.tax_15,
            cls.tax_10 + cls.tax_20,
            cls.tax_15_included,
            cls.fixed_tax + cls.tax_10,
            cls.tax_20 + cls.tax_withheld,
        ]
        cls.foreign = {}
        for name, digits in (("XZ0", 0), ("XZ2", 2), ("XZ3", 3)):
            cls.foreign[digits] = cls.env["res.currency"].create(
                {"name": name, "symbol": name, "rounding": 10.0**-digits}
            )

    def _set_rate(self, currency, date, rate):
        self.env["res.currency.rate"].create(
            {"name": date, "rate": rate, "currency_id": currency.id, "company_id": self.company.id}
        )

    def _create_before_rates_change(self, amounts, **terms):
        """Make a contract whose advance is invoiced at the rate 2; what comes next is at 4."""
        currency = self.foreign[2]
        self._set_rate(currency, "2020-01-01", 2.0)
        order = self._create_with_advance(amounts, currency=currency, **terms)
        self._run_queue()
        self.env["res.currency.rate"].search([("currency_id", "=", currency.id)]).rate = 4.0
        return order

    def _play(self, seed, **terms):
        """Make, bill and check one random contract."""
        rng = random.Random(seed)
        digits = rng.choice([0, 2, 3, None])
        currency = self.foreign.get(digits)
        unit = 10.0 ** -(2 if digits is None else digits)
        if currency:
            self.env["res.currency.rate"].search([("currency_id", "=", currency.id)]).unlink()
            self._set_rate(currency, "2020-01-01", rng.uniform(0.2, 30))
        self.company.tax_calculation_rounding_method = rng.choice(["round_per_line", "round_globally"])
        self.company.milestone_invoice_grouping = rng.choice(["milestone", "order"])
        groups = [
            [
                {
                    "product_id": rng.choice([self.product_a, self.product_b]).id,
                    "price_unit": round(rng.randint(100, 99999) * unit * rng.choice([1, 1, 100]), 3),
                    "product_uom_qty": rng.choice([1.0, 1.0, 3.0, 0.5]),
                    "discount": rng.choice([0.0, 0.0, 7.5]),
                    "tax_ids": [Command.set(rng.choice(self.tax_sets).ids)],
                }
                for _line in range(rng.randint(1, 3))
            ]
            for _milestone in range(rng.randint(1, 6))
        ]
        order = self._create_gated_order(
            groups,
            currency=currency,
            milestone_advance_type="percentage",
            milestone_advance_percentage=rng.choice([1.0, 10.0, 12.5, 33.3333, 50.0, 99.9, 100.0]),
            milestone_advance_recovery=rng.choice(["pro_rata", "first_in"]),
            milestone_advance_policy="automatic",
            **terms,
        )
        self._run_queue()
        milestones = list(order.milestone_ids)
        rng.shuffle(milestones)
        while milestones:
            batch = self.env["sale.milestone"].union(*milestones[: rng.choice([1, 1, 2])])
            milestones = milestones[len(batch) :]
            if currency:
                self.env["res.currency.rate"].search([("currency_id", "=", currency.id)]).rate *= rng.uniform(0.8, 1.3)
            for invoice in self._bill(batch):
                self.assertGreaterEqual(currency.compare_amounts(invoice.amount_total, 0.0) if currency else 0, 0)
            if rng.random() < 0.25:
                self._credit(self._invoices(batch[0])[-1])
                credited = batch.filtered(lambda milestone: milestone.billing_state == "credited")
                credited.action_rebill()
                credited.action_create_invoices()
        self.assertEqual(set(order.milestone_ids.mapped("state")), {"approved"})
        self.assertFalse(order.milestone_ids.filtered("invoice_error").mapped("invoice_error"))
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)

    def test_random_contracts_come_to_zero(self):
        for seed in range(100, 110):
            with self.subTest(seed=seed):
                self._play(seed)

    def test_no_more_tax_is_recovered_than_a_milestone_has(self):
        """Of the last unit of an advance there may be more tax than of what is billed: the next milestone takes it."""
        currency = self.foreign[3]
        self._set_rate(currency, "2020-01-01", 1.0)
        order = self._create_with_advance([1.0, 1.0], currency=currency)
        advance = order.order_line[:1]

        def amount(untaxed, tax):
            return TaxedAmount({"untaxed": untaxed, (1, "tax"): tax, (1, "base"): untaxed})

        balances = {advance: amount(0.002, 0.001)}
        [(_line, piece)] = order.milestone_ids[0]._recover(
            "15 %", balances, {"15 %": amount(0.002, 0.0)}, [{"15 %": amount(0.002, 0.001)}]
        )
        self.assertEqual((piece.untaxed, piece.total), (0.001, 0.001))
        self.assertEqual((balances[advance].untaxed, balances[advance].total), (0.001, 0.002))
        [(_line, piece)] = order.milestone_ids[1]._recover("15 %", balances, {"15 %": amount(0.002, 0.001)}, [])
        self.assertEqual((piece.untaxed, piece.total), (0.001, 0.002))
        self.assertFalse(balances)

        balances = {advance: amount(0.001, 0.001)}
        left = order.milestone_ids[0]._recover(
            "15 %", balances, {"15 %": amount(0.001, 0.0)}, [{"15 %": amount(0.002, 0.001)}]
        )
        self.assertFalse(left, "the unit waits for its tax")
        self.assertEqual(balances[advance].total, 0.002)

    def test_changing_rates_are_booked_as_exchange_differences(self):
        order = self._create_before_rates_change([1000.0, 1000.0], percentage=50.0)
        self.assertEqual(self._get_account_balance(order), (-1000.0, -500.0))
        self._bill(order.milestone_ids[0])
        self.assertEqual(self._get_account_balance(order), (-500.0, -250.0), "the rest stays at its first rate")
        self._bill(order.milestone_ids[1])
        self.assertAdvanceSettled(order)
        entries = self.env["account.move.line"].search(
            [("exchange_advance_line_id", "in", self._get_advance_lines(order).ids)]
        )
        self.assertEqual(sum(entries.mapped("balance")), 250.0)
        self.assertEqual(entries.move_id.journal_id, self.company.currency_exchange_journal_id)

    def test_the_account_is_exact_for_an_invoice_of_a_day_to_come_too(self):
        order = self._create_before_rates_change([1000.0, 1000.0], percentage=50.0)
        order.milestone_invoice_policy = "draft"
        invoice = self._bill(order.milestone_ids[0])
        invoice.invoice_date = fields.Date.today() + timedelta(days=5)
        invoice.action_post()
        self.assertEqual(self._get_account_balance(order), (-500.0, -250.0))
        invoice.button_draft()
        self.assertEqual(self._get_account_balance(order), (-1000.0, -500.0))

    def test_an_advance_that_is_taken_back_leaves_its_exchange_differences_in_the_books(self):
        order = self._create_before_rates_change([1000.0, 1000.0], percentage=50.0)
        self._bill(order.milestone_ids[0])
        advances = self._get_advance_lines(order)
        entries = self.env["account.move"]
        for document in order.invoice_ids.sorted("id", reverse=True):
            document.button_draft()
            entries |= self.env["account.move.line"].search([("exchange_advance_line_id", "in", advances.ids)]).move_id
            document.with_context(force_delete=True).unlink()
        self.assertFalse(advances.exists())
        self.assertEqual(entries.mapped("state"), ["posted", "posted"])
        results = self.company.income_currency_exchange_account_id | self.company.expense_currency_exchange_account_id
        kept = entries.line_ids.filtered(lambda item: item.account_id not in results)
        self.assertEqual((len(kept), sum(kept.mapped("balance"))), (2, 0.0))

    def test_what_is_left_when_somebody_takes_an_exchange_difference_back_goes_to_the_account_of_the_advance(self):
        order = self._create_before_rates_change([1000.0, 1000.0], percentage=50.0)
        invoice = self._bill(order.milestone_ids[0])
        advance = self._get_advance_lines(order)
        invoice.button_draft()
        first, second = advance._get_exchange_items().sorted("id")
        second.move_id.button_draft()
        invoice.with_context(force_delete=True).unlink()
        order.invoice_ids.button_draft()
        last = advance._get_exchange_items() - first
        self.assertEqual((last.account_id, last.balance), (first.account_id, -first.balance))

    def test_without_a_journal_for_exchange_differences_the_milestone_says_so(self):
        order = self._create_before_rates_change([1000.0])
        self.company.currency_exchange_journal_id = False
        self._bill(order.milestone_ids)
        self.assertIn("journal of exchange differences", order.milestone_ids.invoice_error)

    def test_an_edited_advance_is_recovered_as_the_ledger_has_it(self):
        """Lines are rounded together: who edits one changes another by a unit."""
        currency = self.foreign[0]
        self._set_rate(currency, "2020-01-01", 1.7)
        self.company.tax_calculation_rounding_method = "round_globally"
        lines = [
            {"product_id": self.milestone_product.id, "price_unit": price, "product_uom_qty": quantity, "discount": 7.5}
            | {"tax_ids": [Command.set(taxes.ids)]}
            for price, quantity, taxes in (
                (12345.67, 2.0, self.env["account.tax"]),
                (100.0, 3.0, self.tax_15_included),
            )
        ]
        order = self._create_with_advance(
            [{}, {}, {}],
            percentage=33.0,
            currency=currency,
            lines=lines,
            confirm=False,
            milestone_advance_policy="manual",
        )
        order._split_into_milestones(percentages=[30.0, 30.0, 40.0], milestones=order.milestone_ids)
        order.action_confirm()
        order.action_invoice_advance()
        advance = self._get_advance_invoices(order)
        advance.button_draft()
        edited = advance.invoice_line_ids.filtered("tax_ids")
        advance.invoice_line_ids = [Command.update(edited.id, {"price_unit": 63.7})]
        advance.action_post()
        self.assertMoney(currency, order.advance_remaining, advance.amount_total)
        self._bill(order.milestone_ids)
        self.assertAdvanceSettled(order)
