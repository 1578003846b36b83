import random
from itertools import product

from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon

ROUNDING_METHODS = ("round_per_line", "round_globally")
AMOUNTS = ("amount_untaxed", "amount_tax", "amount_total")


@tagged("post_install", "-at_install")
class TestAmounts(MilestoneCommon):
    """Invoices equal the plan and the order to the smallest unit: untaxed, per tax, and in total."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._set_up_currencies_and_taxes()

    def _approve_all(self, milestones):
        """Open the gates without the ceremony, which other tests are about."""
        milestones._write_protected({"state": "approved"})
        milestones._queue_invoice()

    def _get_amounts(self, records):
        return {record: tuple(record[name] for name in AMOUNTS) for record in records}

    def _check_plan(self, order, amounts=None, agreed=None, one_by_one=False):
        """Bill the milestones; compare each invoice with its milestone and all of them with the order."""
        currency, milestones = order.currency_id, order.milestone_ids
        plan = self._get_amounts(milestones)
        for milestone, amount in zip(milestones, amounts or (), strict=bool(amounts)):
            self.assertMoney(currency, milestone.amount_untaxed, amount)
        self._approve_all(milestones)
        for batch in milestones if one_by_one else [milestones]:
            self._run_queue() if not one_by_one else batch.sudo()._process_invoice_queue()
        for milestone, values in plan.items():
            invoice = self._invoices(milestone)
            self.assertEqual(invoice.state, "posted", milestone.invoice_error)
            self.assertEqual(invoice.currency_id, currency)
            if invoice.billing_milestone_ids == milestone:
                for name, value in zip(AMOUNTS, values, strict=True):
                    self.assertMoney(currency, invoice[name], value, f"{name}: invoice {invoice[name]}, plan {value}")
        for invoice in milestones.invoice_line_ids.move_id:
            for index, name in enumerate(AMOUNTS):
                planned = sum(plan[milestone][index] for milestone in invoice.billing_milestone_ids)
                self.assertMoney(currency, invoice[name], planned, f"{name}: invoice {invoice[name]}, plan {planned}")
        if order.milestone_unplanned_amount:
            order._create_invoices(final=True).action_post()
        self.assertNeverBeyondPlan(milestones)
        self.assertBilledAsAgreed(order)
        self.assertEqual(set(milestones.mapped("billing_state")), {"invoiced"})
        if agreed:
            self.assertEqual(tuple(order[name] for name in AMOUNTS), agreed, "the confirmation changed the order")

    def _for_each_rounding(self, *parameters):
        """Yield each rounding method (set on the company) with each of the parameters."""
        for method, *values in product(ROUNDING_METHODS, *parameters):
            self.company.tax_calculation_rounding_method = method
            yield method, *values

    def test_eighths_thirds_and_permilles(self):
        plans = [12_500.0] * 8, [3333.33, 3333.33, 3333.34], [4_000.0, 996_000.0], [0.01, 0.02, 0.03]
        for method, amounts in self._for_each_rounding(plans):
            with self.subTest(rounding=method, amounts=amounts):
                self._check_plan(self._create_contract(amounts), amounts)

    def test_rounded_globally_the_milestones_share_the_tax_of_the_order(self):
        """0.10 + 15 %: ten times 0.015 is 0.15 for the order, and 0.20 when each is rounded by itself."""
        for (method, one_by_one), tax in zip(
            self._for_each_rounding([True, False]), (0.20, 0.20, 0.15, 0.15), strict=True
        ):
            with self.subTest(rounding=method, one_by_one=one_by_one):
                order = self._create_contract([0.10] * 10, confirm=False)
                agreed = self._get_amounts(order)[order]
                self.assertMoney(order.currency_id, order.amount_tax, tax)
                self.assertMoney(order.currency_id, sum(order.milestone_ids.mapped("amount_tax")), tax)
                order.action_confirm()
                self._check_plan(order, [0.10] * 10, agreed, one_by_one)

    def test_three_tax_sets_and_a_discount_on_one_order(self):
        for (method,) in self._for_each_rounding():
            with self.subTest(rounding=method):
                order = self._create_gated_order(
                    [
                        [
                            self._line(self.product_a, 1333.33, self.tax_15, product_uom_qty=7, discount=12.34),
                            self._line(self.product_b, 0.777, self.tax_10 + self.tax_20, product_uom_qty=3),
                        ],
                        [self._line(self.milestone_product, 10_000 / 3, self.tax_20, discount=12.34)],
                        [self._line(self.product_a, 99.99, self.env["account.tax"], discount=12.34)],
                    ],
                    confirm=False,
                )
                agreed = self._get_amounts(order)[order]
                order.action_confirm()
                self._check_plan(order, agreed=agreed)

    def _line(self, item, price, taxes, **values):
        return {"product_id": item.id, "price_unit": price, "tax_ids": [Command.set(taxes.ids)], **values}

    def test_amounts_of_a_plan_with_taxes_included(self):
        """The amount of a milestone is untaxed; the price of its line holds the taxes."""
        amounts = [86.96, 86.96, 86.96, 1000.0, 33.33]
        for (method,) in self._for_each_rounding():
            with self.subTest(rounding=method):
                self.milestone_product.taxes_id = self.tax_15_included
                order = self._create_contract(amounts)
                self.assertGreater(order.milestone_ids[0].order_line_ids.price_unit, 86.96)
                self._check_plan(order, amounts)

    def test_prices_with_taxes_included(self):
        """Three times 100 with 15 % included: 260.87 untaxed together, and 3 × 86.96 each by itself."""
        for (method,), untaxed in zip(self._for_each_rounding(), (260.88, 260.87), strict=True):
            with self.subTest(rounding=method):
                order = self._create_gated_order(
                    [[self._line(self.milestone_product, 100.0, self.tax_15_included)]] * 3, confirm=False
                )
                self.assertMoney(order.currency_id, order.amount_untaxed, untaxed)
                self.assertMoney(order.currency_id, sum(order.milestone_ids.mapped("amount_untaxed")), untaxed)
                self.assertMoney(order.currency_id, order.amount_total, 300.0)
                order.action_confirm()
                self._check_plan(order)

    def test_a_plan_in_each_kind_of_currency(self):
        plans = {
            self.eur: [1111.11, 2222.22, 0.05],
            self.jpy: [333_333.0, 333_333.0, 333_334.0, 7.0],
            self.kwd: [333.333, 333.333, 333.334, 0.007],
        }
        for method, currency in self._for_each_rounding(plans):
            with self.subTest(rounding=method, currency=currency.name):
                self._check_plan(self._create_contract(plans[currency], currency=currency), plans[currency])

    def test_invoices_in_foreign_currency_balance_at_the_rate_of_their_day(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_contract([33.33, 33.33, 33.34], currency=self.eur)
        self.eur.rate_ids.rate = 0.75
        self._check_plan(order, [33.33, 33.33, 33.34])
        for invoice in order.invoice_ids:
            self.assertMoney(self.company.currency_id, sum(invoice.line_ids.mapped("balance")), 0.0)
            revenue = invoice.line_ids.filtered(lambda line: line.display_type == "product")
            self.assertMoney(self.company.currency_id, -revenue.balance, invoice.amount_untaxed / 0.75)

    def test_what_is_credited_of_a_line_is_its_quantity_price_and_discount(self):
        """In a currency without decimals too, half a line is half, and a discount below half a percent is one."""
        for values, left in (({"quantity": 0.5}, 500.0), ({"price_unit": 999.4}, 1.0), ({"discount": 0.4}, 4.0)):
            with self.subTest(**values):
                order = self._create_contract([1000.0], currency=self.jpy)
                invoice = self._bill(order.milestone_ids)
                if invoice.state == "draft":
                    invoice.action_post()

                def edit(refund, values=values):
                    refund.invoice_line_ids.filtered("product_id").write(values)

                self._credit(invoice, edit=edit)
                self.assertMoney(self.jpy, order.milestone_ids.amount_invoiced, left)

    def test_untaxed_fractions_of_a_cent_are_shared_too(self):
        """2 × 0.335 without tax is 0.67 for the order; by itself each would be billed 0.34."""
        self.company.tax_calculation_rounding_method = "round_globally"
        line = self._line(self.milestone_product, 0.335, self.env["account.tax"])
        order = self._create_gated_order([[line], [line]])
        self.assertMoney(order.currency_id, order.amount_untaxed, 0.67)
        self._check_plan(order)

    def test_free_lines_and_milestones_together_are_the_order(self):
        for (method,) in self._for_each_rounding():
            with self.subTest(rounding=method):
                line = self._line(self.milestone_product, 0.103, self.tax_15)
                order = self._create_gated_order([[line, line], [line], [line]], free=[line, line], confirm=False)
                agreed = self._get_amounts(order)[order]
                order.action_confirm()
                self._check_plan(order, agreed=agreed)

    def test_random_plans_are_billed_exactly(self):
        rng = random.Random(20)
        tax_sets = [
            self.env["account.tax"],
            self.tax_15,
            self.tax_10 + self.tax_20,
            self.tax_15_included,
            self.tax_20_included + self.tax_10,
            self.tax_15 + self.tax_fixed,
        ]
        currencies = [self.company.currency_id, self.eur, self.jpy, self.kwd]
        for number in range(30):
            method, grouping = (
                rng.choice(ROUNDING_METHODS[number % 2 :]),
                rng.choice(["milestone", "order", "customer"]),
            )
            self.company.write({"tax_calculation_rounding_method": method, "milestone_invoice_grouping": grouping})
            groups = [
                [self._get_random_line(rng, tax_sets) for _line in range(rng.choice([1, 1, 2, 4]))]
                for _group in range(rng.randint(2, 7))
            ]
            free = [self._get_random_line(rng, tax_sets) for _line in range(rng.choice([0, 0, 2]))]
            currency = rng.choice(currencies)
            with self.subTest(number=number, rounding=method, grouping=grouping, currency=currency.name):
                order = self._create_gated_order(groups, free=free, currency=currency, confirm=False)
                if order._get_plan_error():
                    continue  # in a coarse currency a milestone may have come to nothing
                agreed = self._get_amounts(order)[order]
                order.action_confirm()
                self._check_plan(order, agreed=agreed)

    def _get_random_line(self, rng, tax_sets):
        return self._line(
            self.milestone_product,
            rng.choice([0.1, 0.335, 1 / 3, 12.5, 99.99, 100.0, 3333.33, round(rng.uniform(0.01, 9999), 4)]),
            rng.choice(tax_sets),
            product_uom_qty=rng.choice([1, 1, 1, 2, 3, 0.25]),
            discount=rng.choice([0, 0, 12.34, 33.33]),
        )

    def test_a_line_without_quantity_takes_no_amount(self):
        """With 15 % included and no decimals, no price gives some untaxed amounts."""
        self.company.tax_calculation_rounding_method = "round_per_line"
        order = self._create_gated_order(
            [[self._line(self.milestone_product, 100.0, self.tax_15, product_uom_qty=0.0)]], confirm=False
        )
        with self.assertRefused("no quantity"):
            order.milestone_ids.amount_untaxed = 50.0

    def test_a_changed_rounding_method_leaves_what_is_agreed(self):
        for method, other in (ROUNDING_METHODS, ROUNDING_METHODS[::-1]):
            with self.subTest(agreed_with=method):
                self.company.tax_calculation_rounding_method = method
                line = self._line(self.milestone_product, 0.103, self.tax_15)
                order = self._create_gated_order([[line] * 3, [line], [line]], free=[line])
                agreed = self._get_amounts(order.milestone_ids)
                self.company.tax_calculation_rounding_method = other
                free = order.order_line.filtered(lambda line: not line.billing_milestone_id)
                free.write({"product_uom_qty": 3, "price_unit": 0.107})
                self.assertEqual(self._get_amounts(order.milestone_ids), agreed)
                self._check_plan(order)

    def test_a_changed_rate_of_a_tax_leaves_what_is_agreed(self):
        order = self._create_contract([100.0, 50.0])
        self.tax_15.amount = 16.0
        self.assertEqual(order.milestone_ids.mapped("amount_total"), [115.0, 57.5])
        self._check_plan(order)

    def test_going_back_to_a_quotation_releases_the_agreed_amounts(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_contract([0.10] * 10)
        lines = order.milestone_ids.order_line_ids
        self.assertTrue(all(line.extra_tax_data["milestone_agreed"] for line in lines))
        order._action_cancel()
        order.action_draft()
        self.assertFalse(any(lines.mapped("extra_tax_data")))
        order.milestone_ids[0].amount_untaxed = 50.0
        order.action_confirm()
        self._check_plan(order, [50.0] + [0.10] * 9)

    def test_a_copy_does_not_take_the_agreed_amounts_along(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_contract([0.10] * 10, lines=[self._line(self.product_a, 0.335, self.tax_15)])
        copy = order.copy()
        self.assertFalse(any(copy.order_line.mapped("extra_tax_data")))
        self.assertEqual(self._get_amounts(copy)[copy], self._get_amounts(order)[order])

    def test_a_changed_tax_of_a_free_line_is_computed_anew(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_contract([100.0], lines=[self._line(self.product_a, 115.0, self.tax_15_included)])
        free = order.order_line.filtered(lambda line: line.product_id == self.product_a)
        self.assertEqual(free.price_subtotal, 100.0)
        free.tax_ids = False
        self.assertEqual(free.price_subtotal, 115.0)
        self.assertEqual(order.amount_untaxed, 215.0)
