from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestNativePaths(MilestoneCommon):
    """Odoo's own buttons on a milestone contract: no gated line is taken, nothing is billed beyond the plan."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract(
            [1000.0, 2000.0], lines=[{"product_id": cls.product_a.id, "price_unit": 400.0, "tax_ids": False}]
        )
        cls.first, cls.second = cls.order.milestone_ids
        cls.free = cls.order.order_line.filtered(lambda line: line.product_id == cls.product_a)

    def _run_wizard(self, order=None, **values):
        order = order or self.order
        known = order.invoice_ids
        wizard = (
            self.env["sale.advance.payment.inv"]
            .with_context(active_model="sale.order", active_ids=order.ids, active_id=order.id)
            .create({"sale_order_ids": [Command.set(order.ids)], **values})
        )
        wizard.create_invoices()
        return order.invoice_ids - known

    # -- invoice wizard ------------------------------------------------------------------------------

    def test_the_invoice_wizard_takes_free_lines_and_open_gates(self):
        invoice = self._run_wizard(advance_payment_method="delivered")
        self.assertEqual(invoice.line_ids.sale_line_ids, self.free)
        self._approve(self.first)
        invoice = self._run_wizard(advance_payment_method="delivered")
        self.assertEqual(invoice.billing_milestone_ids, self.first)
        self.assertEqual(invoice.amount_untaxed, 1000.0)
        self._run_queue()
        self.assertEqual(self._invoices(self.first), invoice, "the queue does not bill it again")
        with self.assertRaises(UserError):
            self._run_wizard(advance_payment_method="delivered")

    def test_the_wizard_over_several_orders_bills_each_as_far_as_it_is_approved(self):
        other = self._create_contract([50.0])
        self._approve(self.first + other.milestone_ids)
        orders = self.order + other
        wizard = (
            self.env["sale.advance.payment.inv"]
            .with_context(active_model="sale.order", active_ids=orders.ids)
            .create({"sale_order_ids": [Command.set(orders.ids)], "consolidated_billing": True})
        )
        wizard.create_invoices()
        self.assertEqual(orders.invoice_ids.billing_milestone_ids, self.first + other.milestone_ids)
        self.assertEqual(sum(orders.invoice_ids.mapped("amount_untaxed")), 1450.0)

    def test_a_salesperson_without_invoicing_rights_bills_what_is_approved_and_no_more(self):
        self._approve(self.first)
        invoices = self.order.with_user(self.users["salesperson"])._create_invoices(final=True)
        self.assertEqual(invoices.sudo().amount_untaxed, 1400.0)
        self.assertEqual(self.second.billing_state, "not_due")

    # -- down payments ---------------------------------------------------------------------------------

    def test_a_down_payment_beyond_milestones_and_free_lines_is_refused_and_the_rest_is_named(self):
        for values in (
            {"advance_payment_method": "percentage", "amount": 101.0},
            {"advance_payment_method": "fixed", "fixed_amount": 3450.01},
        ):
            with self.subTest(values=values), self.assertRefused(r"3,450\.00(.|\n)*400\.00"):
                self._run_wizard(**values)
        self.assertFalse(self.order.invoice_ids)

    def test_a_down_payment_that_milestones_cannot_recover_is_deducted_from_free_lines(self):
        self._bill(self.order.milestone_ids)
        advance = self._run_wizard(advance_payment_method="fixed", fixed_amount=150.0)
        advance.action_post()
        self._check_beside_the_plan()
        self.assertFalse(self.order.order_line.filtered("is_milestone_advance"))
        with self.assertRefused(r"250\.00"):
            self._run_wizard(advance_payment_method="fixed", fixed_amount=251.0)
        rest = self._run_wizard(advance_payment_method="delivered")
        self.assertEqual(rest.amount_untaxed, 400.0 - advance.amount_untaxed)
        rest.action_post()
        total = sum(self.order.invoice_ids.mapped("amount_total"))
        self.assertMoney(self.order.currency_id, total, self.order.amount_total)

    def _check_beside_the_plan(self):
        self.assertEqual(self.order.milestone_planned_amount, 3000.0)
        self.assertEqual(self.order.milestone_unplanned_amount, 400.0)
        self.assertFalse(self.order.order_line.filtered("is_downpayment").billing_milestone_id)

    def test_a_percentage_is_one_of_the_milestones(self):
        advance = self._run_wizard(advance_payment_method="percentage", amount=10.0)
        self.assertEqual(advance.amount_total, 345.0)

    def test_a_down_payment_belongs_to_no_milestone(self):
        advance = self._run_wizard(advance_payment_method="fixed", fixed_amount=100.0)
        line = self.order.order_line.filtered(lambda line: line.is_downpayment and not line.display_type)
        with self.assertRaises(UserError):
            line.billing_milestone_id = self.first
        self.assertFalse(advance.billing_milestone_ids)

    def test_orders_without_milestones_take_down_payments_as_before(self):
        order = self._create_contract([], lines=[{"product_id": self.product_a.id, "price_unit": 400.0}])
        advance = self._run_wizard(order, advance_payment_method="percentage", amount=50.0)
        self.assertEqual(advance.amount_total, order.amount_total / 2)

    # -- payments in the portal ----------------------------------------------------------------------------

    def _create_transaction(self, amount):
        method = self.env.ref("payment.payment_method_unknown")
        provider = self.env["payment.provider"].search(
            [("code", "=", "none"), ("company_id", "=", self.company.id)], limit=1
        )
        provider = provider or self.env["payment.provider"].create(
            {"name": "Test", "code": "none", "state": "test", "company_id": self.company.id}
        )
        return self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "amount": amount,
                "currency_id": self.order.currency_id.id,
                "partner_id": self.client_company.id,
                "reference": "milestone test",
                "sale_order_ids": [Command.set(self.order.ids)],
                "state": "done",
            }
        )

    def test_a_payment_in_the_portal_bills_free_lines_only(self):
        self.env["ir.config_parameter"].sudo().set_param("sale.automatic_invoice", "True")
        self._create_transaction(self.order.amount_total)._invoice_sale_orders()
        self.assertFalse(self.order.invoice_ids.billing_milestone_ids)
        self.assertEqual(self.first.order_line_ids.qty_to_invoice, 0.0)
        self.assertEqual(sum(self.order.invoice_ids.mapped("amount_untaxed")), 400.0)

    def test_a_partial_payment_in_the_portal_makes_no_invoice_on_top_of_the_plan(self):
        self._create_transaction(self.order.amount_total / 2)._invoice_sale_orders()
        self.assertFalse(self.order.order_line.filtered("is_downpayment"))
        self.assertFalse(self.order.invoice_ids.billing_milestone_ids)
        self._bill(self.order.milestone_ids)
        self.assertEqual(sum(self.order.milestone_ids.mapped("amount_invoiced")), 3000.0)

    def test_forcing_the_lines_open_does_not_open_a_gate(self):
        self.order._force_lines_to_invoice_policy_order()
        self.assertEqual(self.free.qty_to_invoice, 1.0)
        self.assertEqual(self.order.milestone_ids.order_line_ids.mapped("qty_to_invoice"), [0.0, 0.0])
        self._approve(self.first)
        self.order._force_lines_to_invoice_policy_order()
        self.assertEqual(self.order.milestone_ids.order_line_ids.mapped("qty_to_invoice"), [1.0, 0.0])

    # -- prices and taxes ------------------------------------------------------------------------------------

    def test_updating_prices_leaves_the_amounts_of_milestones(self):
        order = self._create_contract(
            [123.0], confirm=False, lines=[{"product_id": self.product_a.id, "price_unit": 1.0}]
        )
        self.milestone_product.list_price = 55.0
        action = order.action_update_prices()
        self.assertEqual(order.milestone_ids.amount_untaxed, 123.0)
        self.assertIn("stay as they are planned: $\xa0123.00", action["params"]["message"])
        self.assertIn("stay as they are planned", order.message_ids[0].body)
        self.assertEqual(order.order_line.filtered(lambda line: line.product_id == self.product_a).price_unit, 1000.0)

    def test_updating_taxes_on_a_quotation_keeps_the_untaxed_amounts(self):
        order = self._create_contract([123.0], confirm=False)
        order.fiscal_position_id = self.fiscal_pos_a
        order.action_update_taxes()
        self.assertEqual(order.milestone_ids.order_line_ids.tax_ids, self.tax_sale_b)
        self.assertEqual(order.milestone_ids.amount_untaxed, 123.0)

    def test_updating_taxes_of_a_confirmed_contract_leaves_its_milestones(self):
        with self.assertRefused("new contract"):
            self.order.fiscal_position_id = self.fiscal_pos_a
        self.order._write_protected({"fiscal_position_id": self.fiscal_pos_a.id})
        self.free.tax_ids = self.tax_15
        self.order.action_update_taxes()
        self.assertEqual(self.first.order_line_ids.tax_ids, self.tax_15)
        self.assertEqual(self.free.tax_ids, self.tax_sale_b)

    def test_a_changed_price_list_does_not_reach_confirmed_milestones(self):
        self.milestone_product.list_price = 55.0
        self.order.milestone_ids.order_line_ids.invalidate_recordset()
        self.order.action_update_prices()
        self.assertEqual(self.order.milestone_planned_amount, 3000.0)

    # -- the order itself --------------------------------------------------------------------------------------

    def test_the_cancel_wizard_and_button(self):
        self._approve(self.first)
        with self.assertRefused("approved by the client and not invoiced"):
            self.order.with_context(disable_cancel_warning=True).action_cancel()
        self._run_queue()
        self.order.with_context(disable_cancel_warning=True).action_cancel()
        self.assertEqual((self.first.state, self.second.state), ("approved", "cancelled"))
        self.assertEqual(self.second.order_line_ids.qty_to_invoice, 0.0)

    def test_a_signed_quotation_is_confirmed_with_its_plan(self):
        order = self._create_contract([123.0], confirm=False, require_signature=True)
        order.write({"signed_by": "Approver", "signed_on": "2030-01-01", "signature": self._signature()})
        order._validate_order()
        contract = order.sudo()._prepare_contract_values()
        self.assertEqual(contract["signed_by"], "Approver")
        self.assertTrue(contract["signature"])
        self.assertFalse(order._verify_contract())

    def _signature(self):
        return self._evidence(self.first)["signature"]

    def test_a_quotation_template_beside_a_plan(self):
        template = self.env["sale.order.template"].create(
            {
                "name": "Template",
                "sale_order_template_line_ids": [
                    Command.create({"product_id": self.product_a.id, "product_uom_qty": 2})
                ],
            }
        )
        order = self._create_contract([100.0], confirm=False)
        order.sale_order_template_id = template
        order._onchange_sale_order_template_id()
        self.assertTrue(order.milestone_ids.exists())

    def test_amounts_of_the_order_are_true_at_each_step(self):
        steps = [("confirmed", 400.0, 0.0)]
        self.assertMoney(self.order.currency_id, self.order.amount_to_invoice, 400.0)
        self._approve(self.first)
        self.assertMoney(self.order.currency_id, self.order.amount_to_invoice, 1550.0)
        self._run_queue()
        self.assertMoney(self.order.currency_id, self.order.amount_to_invoice, 400.0)
        self.assertMoney(self.order.currency_id, self.order.amount_invoiced, 1150.0)
        self.assertEqual(len(steps), 1)
        self._run_wizard(advance_payment_method="delivered").action_post()
        self._bill(self.second)
        self.assertBilledAsAgreed(self.order)
        self.assertMoney(self.order.currency_id, self.order.amount_invoiced, self.order.amount_total)
