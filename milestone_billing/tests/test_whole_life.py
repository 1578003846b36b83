import random

from odoo.tests import tagged

from .life_common import LifeCommon


@tagged("post_install", "-at_install")
class TestWholeLife(LifeCommon):
    """Advance, retention, discount, three sets of taxes, a foreign currency: one contract from signature to zero."""

    def _assert_step(self, order, ledger, states, residuals, figures):
        """Compare what a step did, and where it left the contract, in full.

        :param dict ledger: by role of the account, the amount in the foreign currency and in the company's
        :param states: billing state per milestone
        :param residuals: payment state and residual of each document, oldest first
        :param figures: invoiced; to invoice; advance left; retention retained, paid and withheld
        """
        self.env.invalidate_all()
        items = self._get_life_items(order)
        self.assertEqual(self._ledger(items - self.known), ledger)
        self.known = items
        self.assertEqual(order.milestone_ids.mapped("billing_state"), states)
        documents = order.invoice_ids.sorted("id")
        self.assertEqual([(move.payment_state, round(move.amount_residual, 2)) for move in documents], residuals)
        names = ("amount_invoiced", "amount_to_invoice", "advance_remaining")
        names += ("retention_retained", "retention_paid", "retention_withheld")
        self.assertEqual([round(order[name], 2) for name in names], figures)
        self.assertLedgerTrue(order)

    def test_the_ledger_of_a_contract_step_by_step(self):
        currency = self._create_currency("XLF", 0.01, {"2020-01-01": 2.0})
        order = self._create_life(
            [
                (6000.0, 1.0, 0.0, self.tax_15),
                (2500.0, 2.0, 20.0, self.tax_10 + self.tax_20),
                (2300.0, 1.0, 0.0, self.tax_15_included),
            ],
            [25.0, 50.0, 25.0],
            currency=currency,
            milestone_advance_type="percentage",
            milestone_advance_percentage=20.0,
            milestone_retention_percentage=10.0,
        )
        first, second, third = order.milestone_ids
        self.known = self.env["account.move.line"]
        self.assertEqual((order.amount_untaxed, order.amount_tax, order.amount_total), (12000.0, 2400.0, 14400.0))
        self.assertEqual(order.milestone_ids.mapped("amount_total"), [3600.0, 7200.0, 3600.0])

        self._run_queue()
        advance = order.invoice_ids
        self._assert_step(
            order,
            {"advance": (-2400.0, -1200.0), "tax": (-480.0, -240.0), "receivable": (2880.0, 1440.0)},
            ["not_due", "not_due", "not_due"],
            [("not_paid", 2880.0)],
            [2880.0, 0.0, 2880.0, 0.0, 0.0, 0.0],
        )

        self._set_rate(currency, 2.5)
        self._pay(advance)
        self._assert_step(
            order,
            {"bank": (2880.0, 1152.0), "receivable": (-2880.0, -1440.0), "exchange loss": (0.0, 288.0)},
            ["not_due", "not_due", "not_due"],
            [("paid", 0.0)],
            [2880.0, 0.0, 2880.0, 0.0, 0.0, 0.0],
        )

        one = self._bill(first)
        self._assert_step(
            order,
            {
                "revenue": (-3000.0, -1200.0),
                "tax": (-480.0, -192.0),
                "advance": (600.0, 300.0),  # at the rate of the advance
                "exchange gain": (0.0, -60.0),
                "receivable": (2580.0, 1032.0),
                "retention": (300.0, 120.0),
            },
            ["invoiced", "not_due", "not_due"],
            [("paid", 0.0), ("not_paid", 2880.0)],
            [5760.0, 0.0, 2160.0, 300.0, 0.0, 300.0],
        )

        self._set_rate(currency, 2.0)
        self._pay(one, 1000.0)
        self._assert_step(
            order,
            {"bank": (1000.0, 500.0), "receivable": (-1000.0, -400.0), "exchange gain": (0.0, -100.0)},
            ["partial", "not_due", "not_due"],
            [("paid", 0.0), ("partial", 1880.0)],
            [5760.0, 0.0, 2160.0, 300.0, 0.0, 300.0],
        )

        self._set_rate(currency, 1.6)
        self._pay(one)
        self._assert_step(
            order,
            {"bank": (1580.0, 987.5), "receivable": (-1580.0, -632.0), "exchange gain": (0.0, -355.5)},
            ["partial", "not_due", "not_due"],
            [("paid", 0.0), ("partial", 300.0)],
            [5760.0, 0.0, 2160.0, 300.0, 0.0, 300.0],
        )

        two = self._bill(second)
        self._assert_step(
            order,
            {
                "revenue": (-6000.0, -3750.0),
                "tax": (-960.0, -600.0),
                "advance": (1200.0, 600.0),
                "exchange loss": (0.0, 150.0),
                "receivable": (5160.0, 3225.0),
                "retention": (600.0, 375.0),
            },
            ["partial", "invoiced", "not_due"],
            [("paid", 0.0), ("partial", 300.0), ("not_paid", 5760.0)],
            [11520.0, 0.0, 720.0, 900.0, 0.0, 900.0],
        )

        self._credit(two, edit=self._edit_lines(0.4))
        self._assert_step(
            order,
            {
                "revenue": (2400.0, 1500.0),
                "tax": (384.0, 240.0),
                "advance": (-480.0, -240.0),
                "exchange gain": (0.0, -60.0),
                "receivable": (-2064.0, -1290.0),
                "retention": (-240.0, -150.0),
            },
            ["partial", "partial", "not_due"],
            [("paid", 0.0), ("partial", 300.0), ("partial", 3456.0), ("paid", 0.0)],
            [9216.0, 0.0, 1296.0, 660.0, 0.0, 660.0],
        )

        second.action_rebill()
        self.env.invalidate_all()
        self.assertEqual(second.billing_state, "to_invoice")
        self.assertMoney(currency, order.amount_to_invoice, 2880.0 - 576.0)
        self._set_rate(currency, 2.0)
        second.action_create_invoices()
        again = order.invoice_ids.sorted("id")[-1]
        self._assert_step(
            order,
            {
                "revenue": (-2400.0, -1200.0),
                "tax": (-384.0, -192.0),
                "advance": (480.0, 240.0),
                "receivable": (2064.0, 1032.0),
                "retention": (240.0, 120.0),
            },
            ["partial", "invoiced", "not_due"],
            [("paid", 0.0), ("partial", 300.0), ("partial", 3456.0), ("paid", 0.0), ("not_paid", 2304.0)],
            [11520.0, 0.0, 720.0, 900.0, 0.0, 900.0],
        )

        self._set_rate(currency, 1.25)
        three = self._bill(third)
        self._assert_step(
            order,
            {
                "revenue": (-3000.0, -2400.0),
                "tax": (-480.0, -384.0),
                "advance": (600.0, 300.0),
                "exchange loss": (0.0, 180.0),
                "receivable": (2580.0, 2064.0),
                "retention": (300.0, 240.0),
            },
            ["partial", "invoiced", "invoiced"],
            [
                ("paid", 0.0),
                ("partial", 300.0),
                ("partial", 3456.0),
                ("paid", 0.0),
                ("not_paid", 2304.0),
                ("not_paid", 2880.0),
            ],
            [14400.0, 0.0, 0.0, 1200.0, 0.0, 1200.0],
        )
        self.assertAdvanceSettled(order)
        self.assertBilledAsAgreed(order)

        self._set_rate(currency, 2.0)
        for invoice in (two, again, three):
            self._pay(invoice)
        self._assert_step(
            order,
            {"bank": (7740.0, 3870.0), "receivable": (-7740.0, -5031.0), "exchange loss": (0.0, 1161.0)},
            ["partial", "partial", "partial"],
            [
                ("paid", 0.0),
                ("partial", 300.0),
                ("partial", 360.0),
                ("paid", 0.0),
                ("partial", 240.0),
                ("partial", 300.0),
            ],
            [14400.0, 0.0, 0.0, 1200.0, 0.0, 1200.0],
        )

        self._release(order, 500.0)
        self.assertEqual((order.retention_released, order.retention_due, order.retention_withheld), (500, 500, 700))
        self._set_rate(currency, 2.5)
        self._pay(one)
        self._pay(two, 200.0)
        self._assert_step(
            order,
            {"bank": (500.0, 200.0), "retention": (-500.0, -245.0), "exchange loss": (0.0, 45.0)},
            ["paid", "partial", "partial"],
            [("paid", 0.0), ("paid", 0.0), ("partial", 160.0), ("paid", 0.0), ("partial", 240.0), ("partial", 300.0)],
            [14400.0, 0.0, 0.0, 1200.0, 500.0, 700.0],
        )

        self._release(order)
        for invoice in (two, again, three):
            self._pay(invoice)
        self._assert_step(
            order,
            {"bank": (700.0, 280.0), "retention": (-700.0, -460.0), "exchange loss": (0.0, 180.0)},
            ["paid", "paid", "paid"],
            [("paid", 0.0)] * 6,
            [14400.0, 0.0, 0.0, 1200.0, 1200.0, 0.0],
        )
        self.assertLifeOver(order)

    def test_taxes_that_fall_due_with_payments(self):
        """The tax on what is retained falls due when that is paid; what waits for payments ends at zero."""
        self.company.tax_exigibility = True
        waiting = self.tax_account.copy({"code": "TAXWAIT", "reconcile": True})
        self.tax_15.write({"tax_exigibility": "on_payment", "cash_basis_transition_account_id": waiting.id})

        def booked(account):
            items = self.env["account.move.line"].search([("account_id", "=", account.id)])
            return round(-sum(items.filtered(lambda item: item.parent_state == "posted").mapped("balance")), 2)

        order = self._create_life(
            [(3000.0, 1.0, 0.0, self.tax_15)],
            [50.0, 50.0],
            milestone_advance_type="percentage",
            milestone_advance_percentage=20.0,
            milestone_retention_percentage=10.0,
        )
        first, second = order.milestone_ids
        self._run_queue()
        self.assertEqual((booked(waiting), booked(self.tax_account)), (90.0, 0.0))
        self._pay(order.invoice_ids)
        self.assertEqual((booked(waiting), booked(self.tax_account)), (0.0, 90.0))

        one = self._bill(first)
        self.assertEqual((booked(waiting), one.amount_total, one.retention_amount), (180.0, 1380.0, 150.0))
        self._pay(one)
        self.assertEqual((booked(waiting), booked(self.tax_account)), (19.57, 250.43))  # 180 × 150 / 1380
        self._release(order, 50.0)
        self._pay(one)
        self.assertEqual((booked(waiting), booked(self.tax_account)), (13.05, 256.95))  # 180 × 100 / 1380

        two = self._bill(second)
        self._credit(two, edit=self._edit_lines(0.4))
        self.assertEqual((booked(waiting), order.retention_retained), (13.05 + 108.0, 150.0 + 90.0))
        second.action_rebill()
        second.action_create_invoices()
        open_invoices = order.invoice_ids.filtered("amount_residual")
        for invoice in open_invoices - one:
            self._pay(invoice)
        self._release(order)
        for invoice in open_invoices:
            self._pay(invoice)
        self.assertEqual((booked(waiting), booked(self.tax_account)), (0.0, 450.0))
        self.assertLedgerTrue(order)
        self.assertLifeOver(order)

    # -- the same with other terms, currencies and roundings ---------------------------------------------

    def _live(self, seed, rounding="round_globally", digits=None, grouping="milestone", **terms):
        """Play a life of odd amounts and changing rates; all invariants hold after each step."""
        rng = random.Random(seed)
        self.company.tax_calculation_rounding_method = rounding
        self.company.milestone_invoice_grouping = grouping
        unit = 10.0 ** -(2 if digits is None else digits)
        currency = None
        if digits is not None:
            currency = self._create_currency(f"XL{digits}", unit, {"2020-01-01": rng.uniform(0.2, 30.0)})

        def price():
            return round(rng.randint(20000, 999999) * unit, 3)

        order = self._create_life(
            [
                (price(), 1.0, 0.0, self.tax_15),
                (price(), 3.0, 7.5, self.tax_10 + self.tax_20),
                (price(), 1.0, 10.0, self.tax_15_included),
                (price(), 2.0, 0.0, self.env["account.tax"]),
            ],
            [12.5, 33.3333, 54.1667],
            currency=currency,
            **{
                "milestone_advance_type": "percentage",
                "milestone_advance_percentage": 33.3333,
                "milestone_retention_percentage": 7.5,
                **terms,
            },
        )

        self._run_queue()
        self.assertLedgerTrue(order)
        self._pay_at(order, rng, order.invoice_ids, 0.5)
        self._pay_at(order, rng, order.invoice_ids)
        first, second, third = order.milestone_ids
        self._move_rate(order, rng)
        self._pay_at(order, rng, self._bill(first), 0.3)
        self._move_rate(order, rng)
        invoice = self._bill(second)
        self._credit(invoice, edit=self._edit_lines(rng.choice([0.1, 0.333, 0.5])))
        self.assertLedgerTrue(order)
        self._move_rate(order, rng)
        second.action_rebill()
        second.action_create_invoices()
        self.assertLedgerTrue(order)
        self._move_rate(order, rng)
        whole = self._bill(third)
        self._credit(whole)
        self.assertEqual(third.billing_state, "credited")
        self.assertLedgerTrue(order)
        self._move_rate(order, rng)
        third.action_rebill()
        third.action_create_invoices()
        self.assertLedgerTrue(order)
        self.assertBilledAsAgreed(order)
        self.assertAdvanceSettled(order)
        self._settle(order, rng, self.trade_account)
        self._release(order, order.currency_id.round(order._get_releasable() / 3))
        self.assertLedgerTrue(order)
        self._release(order)
        self._settle(order, rng, self.retention_account)
        self.assertLifeOver(order)

    def _move_rate(self, order, rng):
        currency = order.currency_id
        if currency != self.company.currency_id:
            rates = self.env["res.currency.rate"].search([("currency_id", "=", currency.id)])
            self._set_rate(currency, rates.rate * rng.uniform(0.7, 1.4))

    def _pay_at(self, order, rng, invoice, part=None):
        """Pay at another rate than that of the invoice."""
        if not invoice.amount_residual:
            return  # the advance has paid for it
        self._move_rate(order, rng)
        self._pay(invoice, part and order.currency_id.round(invoice.amount_residual * part))
        self.assertLedgerTrue(order)

    def _settle(self, order, rng, account):
        for invoice in order.invoice_ids.sorted("id"):
            if self._owes(invoice, account):
                self._pay_at(order, rng, invoice)

    def _owes(self, invoice, account):
        return invoice.move_type == "out_invoice" and any(
            line.amount_residual_currency > 0.0 for line in invoice.line_ids if line.account_id == account
        )

    def test_lives_in_the_currency_of_the_company(self):
        self._live(1, rounding="round_per_line")
        self._live(2, milestone_advance_recovery="first_in", milestone_retention_base="total")

    def test_lives_without_decimals(self):
        self._live(3, digits=0)

    def test_lives_without_decimals_rounded_per_line(self):
        self._live(4, rounding="round_per_line", digits=0, milestone_advance_recovery="first_in")

    def test_lives_with_two_decimals(self):
        self._live(5, digits=2, milestone_retention_base="total", milestone_retention_cap=4.0)

    def test_lives_with_three_decimals(self):
        self._live(
            6,
            rounding="round_per_line",
            digits=3,
            milestone_retention_reduced_after=50.0,
            milestone_retention_reduced_percentage=2.5,
        )

    def test_lives_billed_by_order(self):
        self._live(7, digits=3, grouping="order", milestone_advance_recovery="first_in")
