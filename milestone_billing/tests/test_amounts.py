import random
from itertools import product

from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon

ROUNDING_METHODS = ("round_per_line", "round_globally")


@tagged("post_install", "-at_install")
class TestAmounts(MilestoneCommon):
    """Invoices equal the plan and the order to the smallest unit: untaxed, per tax, and in total."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.eur = cls.setup_other_currency("EUR", rates=[("1900-01-01", 0.9137)])
        cls.jpy = cls.setup_other_currency("JPY", rates=[("1900-01-01", 149.73)])
        cls.kwd = cls.setup_other_currency("KWD", rates=[("1900-01-01", 0.30671)])

    def _check_plan(self, order, amounts=None):
        """Bill one milestone after the other and compare each invoice with its milestone, and all with the order."""
        currency, milestones = order.currency_id, order.milestone_ids
        totals = {milestone: (milestone.amount_untaxed, milestone.amount_tax, milestone.amount_total) for milestone in milestones}
        if amounts:
            for milestone, amount in zip(milestones, amounts, strict=True):
                self.assertMoney(currency, milestone.amount_untaxed, amount)
        for index, name in enumerate(("amount_untaxed", "amount_tax", "amount_total")):
            gated = sum(values[index] for values in totals.values())
            if not order.milestone_unplanned_amount:
                self.assertMoney(currency, gated, order[name], f"plan {gated}, order {name} {order[name]}")
        for milestone in milestones:
            invoice = self._bill(milestone)
            self.assertEqual(invoice.state, "posted", milestone.invoice_error)
            for name, value in zip(("amount_untaxed", "amount_tax", "amount_total"), totals[milestone], strict=True):
                self.assertMoney(currency, invoice[name], value, f"{name}: invoice {invoice[name]}, plan {value}")
            self.assertEqual(invoice.currency_id, currency)
            self.assertNeverBeyondPlan(milestone)
        self.assertBilledAsAgreed(order)

    def test_eighths_thirds_and_permilles(self):
        plans = [12_500.0] * 8, [3333.33, 3333.33, 3333.34], [4_000.0, 996_000.0], [0.01, 0.02, 0.03]
        for method, amounts in product(ROUNDING_METHODS, plans):
            with self.subTest(rounding=method, amounts=amounts):
                self.company.tax_calculation_rounding_method = method
                self._check_plan(self._create_contract(amounts), amounts)

    def test_tiny_milestones_rounded_globally(self):
        """0.10 + 15 %: ten times 0.015 is 0.15 for the order, and 0.20 if each were rounded by itself."""
        for method, tax in zip(ROUNDING_METHODS, (0.20, 0.15), strict=True):
            with self.subTest(rounding=method):
                self.company.tax_calculation_rounding_method = method
                order = self._create_contract([0.10] * 10)
                self._check_plan(order, [0.10] * 10)
                self.assertMoney(order.currency_id, order.amount_tax, tax)
