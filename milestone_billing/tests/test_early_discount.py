from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestEarlyDiscount(MilestoneCommon):
    """Who pays early pays less, and the taxes of it are corrected as those of any invoice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.term = cls.env["account.payment.term"].create(
            {
                "name": "2/10",
                "early_discount": True,
                "discount_percentage": 2.0,
                "discount_days": 10,
                "early_pay_discount_computation": "included",
                "line_ids": [Command.create({"value": "percent", "value_amount": 100.0, "nb_days": 30})],
            }
        )
        cls.lines = [
            {"product_id": cls.milestone_product.id, "price_unit": price, "tax_ids": [Command.set(taxes.ids)]}
            for price, taxes in (
                (1000.0, cls.tax_15),
                (1150.0, cls.tax_15_included),
                (800.0, cls.tax_10 + cls.tax_20),
            )
        ]

    def _pay_early(self, invoices):
        """Pay within the term; return what the payments book by account, and how much they are."""
        booked, paid = {}, 0.0
        for invoice in invoices:
            payment = self._pay(invoice)
            self.assertIn(invoice.payment_state, ("paid", "in_payment"))
            paid += payment.amount
            for line in payment.move_id.line_ids:
                key = line.account_id, line.tax_line_id
                booked[key] = round(booked.get(key, 0.0) + line.balance, 2)
        return paid, {key: balance for key, balance in booked.items() if balance}

    def _pay_natively(self):
        order = self._create_contract([], lines=self.lines, payment_term_id=self.term.id)
        invoice = order._create_invoices()
        invoice.action_post()
        return self._pay_early(invoice)

    def test_taxes_are_corrected_as_of_native_invoices(self):
        native = self._pay_natively()
        self.assertEqual(native[0], 3273.2)
        gated = self._create_gated_order([self.lines], payment_term_id=self.term.id)
        self.assertEqual(self._pay_early(self._bill(gated.milestone_ids)), native)

        split = self._create_contract([{}, {}], confirm=False, lines=self.lines, payment_term_id=self.term.id)
        split._split_into_milestones(percentages=[50.0, 50.0], milestones=split.milestone_ids)
        split.action_confirm()
        self.assertEqual(self._pay_early(self._bill(split.milestone_ids)), native)

    def test_recovered_advances_are_discounted_with_the_rest(self):
        order = self._create_contract(
            [1000.0],
            payment_term_id=self.term.id,
            milestone_advance_type="percentage",
            milestone_advance_percentage=50.0,
        )
        order.action_invoice_advance()
        advance = order.order_line.invoice_lines.move_id
        if advance.state == "draft":
            advance.action_post()
        invoice = self._bill(order.milestone_ids) - advance
        paid, booked = self._pay_early(advance + invoice)
        taxes = {tax: balance for (_account, tax), balance in booked.items() if tax}
        self.assertEqual((paid, taxes), (1127.0, {self.tax_15: 3.0}))

    def test_taxes_that_are_reduced_always_are_refused(self):
        """Milestones would have taxes of their own, and the order other ones."""
        self.term.early_pay_discount_computation = "mixed"
        order = self._create_gated_order([self.lines], confirm=False, payment_term_id=self.term.id)
        with self.assertRefused("terms 2/10 reduce the taxes whether or not"):
            order.action_confirm()
        self._create_contract([], lines=self.lines, payment_term_id=self.term.id)
        order.payment_term_id = False
        order.action_confirm()

    def test_no_tax_is_reduced_for_a_discount_that_a_retention_forbids(self):
        self.company._create_retention_account()
        self.term.early_pay_discount_computation = "mixed"
        for percentage, tax, kinds in ((10.0, 150.0, set()), (0.0, 147.0, {"epd"})):
            order = self._create_gated_order(
                [self.lines[:1]], milestone_retention_percentage=percentage, milestone_invoice_policy="draft"
            )
            invoice = self._bill(order.milestone_ids)
            invoice.invoice_payment_term_id = self.term
            invoice.action_post()
            self.assertMoney(invoice.currency_id, invoice.amount_tax, tax)
            self.assertEqual(set(invoice.line_ids.mapped("display_type")) & {"epd"}, kinds)
            self.assertMoney(invoice.currency_id, sum(invoice.line_ids.mapped("balance")), 0.0)
            self.assertMoney(invoice.currency_id, invoice.retention_amount, 10 * percentage)
