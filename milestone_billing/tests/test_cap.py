from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .test_change_request import ChangeCommon


@tagged("post_install", "-at_install")
class TestCap(ChangeCommon):
    """Not to exceed: milestones, hours, goods and advances together stay below what was agreed on."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hours = cls.company_data["product_service_delivery"]
        cls.hours.taxes_id = cls.tax_15

    def _create_capped(self, cap=1000.0, amounts=(400.0, 200.0), hours=10.0, price=100.0, **values):
        lines = [{"product_id": self.hours.id, "product_uom_qty": hours, "price_unit": price}]
        order = self._create_contract(
            list(amounts), lines=lines, **{"milestone_cap_amount": cap, "milestone_invoice_policy": "draft", **values}
        )
        order.project_id.user_id = self.users["project_manager"]
        return order

    def _deliver(self, order, hours):
        line = order.order_line.filtered(lambda line: line.product_id == self.hours)
        line.qty_delivered = hours
        return line

    def _bill_hours(self, order, hours, post=True):
        self._deliver(order, hours)
        invoice = order._create_invoices(final=True)
        if post:
            invoice.action_post()
        return invoice

    # -- terms --------------------------------------------------------------------------------------------

    def test_the_threshold_comes_from_the_company(self):
        self.company.milestone_cap_warning = 70.0
        order = self._create_capped(confirm=False)
        self.assertEqual(order.milestone_cap_warning, 70.0)
        order.milestone_cap_warning = 90.0
        order.action_confirm()
        self.company.milestone_cap_warning = 50.0
        self.assertEqual(order.milestone_cap_warning, 90.0)

    def test_the_cap_is_part_of_the_contract_and_frozen(self):
        order = self._create_capped()
        self.assertEqual(order._prepare_contract_values()["cap"], "1000.00")
        self.assertIn('"cap":"1000.00"', order.milestone_contract.replace(" ", ""))
        for role in ("salesperson", "sale_manager"):
            with self.subTest(role=role), self.assertRefused("cap of .* is agreed with .*more. Agree on a new"):
                order.with_user(self.users[role]).milestone_cap_amount = 2000.0
        order.milestone_cap_amount = 1000.0  # the same again, as forms and imports do
        self.assertNotIn("cap", self._create_contract([10.0])._prepare_contract_values())

    def test_the_plan_does_not_exceed_the_cap(self):
        order = self._create_capped(cap=599.99, confirm=False)
        with self.assertRefused("come to .*600.00 and its cap is .*599.99: raise the cap by .*0.01"):
            order.action_confirm()
        order.milestone_cap_amount = 600.0
        order.action_confirm()

    def test_the_plan_is_measured_as_the_order_is(self):
        """Taxes in the price, rounded globally: the lines show 32,206.10 and 0.08, and the order has 32,206.17."""
        self._set_up_currencies_and_taxes()
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self._create_contract([], confirm=False)
        for price, quantity in ((0.0925, 1.0), (12345.67, 3.0)):
            milestone = self.env["sale.milestone"].create({"order_id": order.id, "name": f"{price}"})
            order.order_line = [
                Command.create(
                    {
                        "product_id": self.milestone_product.id,
                        "price_unit": price,
                        "product_uom_qty": quantity,
                        "tax_ids": [Command.set(self.tax_15_included.ids)],
                        "billing_milestone_id": milestone.id,
                    }
                )
            ]
        shown = sum(order.order_line.filtered("product_id").mapped("price_subtotal"))
        self.assertMoney(order.currency_id, shown, order.amount_untaxed + 0.01)
        self.assertMoney(order.currency_id, order.milestone_planned_amount, order.amount_untaxed)
        self.assertMoney(order.currency_id, order.milestone_unplanned_amount, 0.0)
        order.milestone_cap_amount = order.amount_untaxed
        order.action_confirm()
        self.assertMoney(order.currency_id, order.milestone_planned_amount, order.milestone_cap_amount)

    def test_nonsense_is_refused(self):
        for name, value in (("amount", -1.0), ("warning", 0.0), ("warning", 101.0)):
            values = {f"milestone_cap_{name}": value}
            with self.subTest(values=values), self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
                self._create_contract([10.0], confirm=False, **values).flush_recordset()

    def test_the_client_reads_the_cap_before_signing(self):
        order = self._create_capped(confirm=False)
        html, _kind = self.env["ir.actions.report"]._render_qweb_html("sale.report_saleorder", order.ids)
        self.assertIn("Not to exceed", html.decode())
        self.assertIn("1,000.00", html.decode())
        order.milestone_cap_amount = 0.0
        html, _kind = self.env["ir.actions.report"]._render_qweb_html("sale.report_saleorder", order.ids)
        self.assertNotIn("Not to exceed", html.decode())

    def test_a_salesperson_sets_it_in_the_form(self):
        order = self._create_capped(cap=0.0, confirm=False)
        with Form(order.with_user(self.users["salesperson"])) as form:
            form.milestone_cap_amount = 700.0
        self.assertEqual(order.milestone_cap_amount, 700.0)

    # -- what counts ----------------------------------------------------------------------------------------

    def test_milestones_and_hours_count_together(self):
        order = self._create_capped()
        self._bill(order.milestone_ids[0]).action_post()
        self._bill_hours(order, 3.0)
        self.assertEqual(order.milestone_cap_used, 700.0)
        self.assertEqual(order.milestone_cap_remaining, 300.0)
        self.assertAlmostEqual(order.milestone_cap_share, 70.0)

    def test_the_last_cent_is_billed_and_not_one_more(self):
        order = self._create_capped()
        self._bill(order.milestone_ids).action_post()
        draft = self._bill_hours(order, 4.0, post=False)
        draft.invoice_line_ids.filtered("sale_line_ids").price_unit = 100.01
        with self.assertRefused("exceed .*1,000.00.*Billed before: .*600.00.*This invoice: .*400.04.*400.00.\nBill at"):
            draft.action_post()
        draft.invoice_line_ids.filtered("sale_line_ids").price_unit = 100.0
        draft.action_post()
        self.assertEqual(order.milestone_cap_remaining, 0.0)

    def test_native_invoicing_makes_no_bill_beyond_the_cap(self):
        order = self._create_capped()
        self._bill(order.milestone_ids)
        self._deliver(order, 5.0)
        wizard = self.env["sale.advance.payment.inv"].with_context(active_model="sale.order", active_ids=order.ids)
        with self.assertRefused("What is left: .*400.00"):
            wizard.create({"advance_payment_method": "delivered"}).create_invoices()

    def test_the_queue_keeps_the_milestone_with_the_reason(self):
        order = self._create_capped()
        self._bill_hours(order, 7.0)
        first = order.milestone_ids[0]
        self._approve(first)
        self._run_queue()
        self.assertEqual(first.billing_state, "to_invoice")
        self.assertIn("This invoice", first.invoice_error)
        self.assertFalse(first.invoice_line_ids)

    def test_a_change_order_brings_a_milestone_down_to_what_is_left(self):
        order = self._create_contract([400.0, 200.0], milestone_cap_amount=700.0, milestone_invoice_policy="post")
        first, second = order.milestone_ids
        self._change(order, {"action": "change", "milestone_id": second.id, "amount": 300.0})
        self._bill(order.milestone_ids)
        self.assertEqual((first.billing_state, second.billing_state), ("invoiced", "to_invoice"))
        self.assertRegex(second.invoice_error, "What is left: .*300.00.*\n.*change request .* down to what is left")
        self._change(order, {"action": "change", "milestone_id": second.id, "amount": -200.0})
        self._run_queue()
        self.assertEqual((second.billing_state, second.amount_invoiced), ("invoiced", 300.0))
        self.assertFalse(second.invoice_error)
        self.assertEqual(order.milestone_cap_remaining, 0.0)
        self.assertContract(order)

    def test_a_change_order_takes_a_milestone_back_where_nothing_is_left(self):
        order = self._create_contract([400.0, 200.0], milestone_cap_amount=600.0, milestone_invoice_policy="post")
        planned = order.milestone_ids
        extra = self._change(
            order, {"action": "add", "new_name": "Extra", "amount": 100.0}
        ).line_ids.created_milestone_id
        extra.deliverable_ids = [Command.create({"name": "Work"})]
        self._bill(planned)
        self._bill(extra)
        self.assertRegex(extra.invoice_error, r"What is left: \D*0\.00\.\n.*change request")
        self._change(order, {"action": "change", "milestone_id": extra.id, "amount": -100.0})
        self._run_queue()
        self.assertFalse(extra.invoice_error)
        self.assertEqual((order.milestone_cap_used, order.invoice_status), (600.0, "invoiced"))
        self.assertContract(order)

    def test_a_line_typed_on_the_invoice_counts_as_well(self):
        order = self._create_capped()
        draft = self._bill_hours(order, 3.0, post=False)
        draft.write({"invoice_line_ids": [Command.create({"name": "Travel", "price_unit": 700.01, "tax_ids": False})]})
        with self.assertRefused("not to exceed"):
            draft.action_post()

    def test_a_consolidated_invoice_is_checked_for_each_of_its_orders(self):
        capped, other = self._create_capped(cap=600.0), self._create_capped(cap=0.0)
        for order, hours in ((capped, 7.0), (other, 50.0)):
            self._deliver(order, hours)
        with self.assertRefused(f"{capped.name} is not to exceed"):
            (capped | other)._create_invoices(final=True)
        self._deliver(capped, 5.0)
        invoice = (capped | other)._create_invoices(final=True)
        self.assertEqual(len(invoice), 1)
        line = invoice.invoice_line_ids.filtered(lambda line: line.sale_line_ids.order_id == capped)[-1:]
        line.quantity = 6.01
        with self.assertRefused(f"{capped.name} is not to exceed"):
            invoice.action_post()
        line.quantity = 6.0
        invoice.action_post()
        self.assertEqual(capped.milestone_cap_used, 600.0)

    def test_an_order_line_added_later_is_no_way_around(self):
        order = self._create_capped(cap=600.0)
        order.order_line = [Command.create({"product_id": self.hours.id, "product_uom_qty": 1.0, "price_unit": 601.0})]
        order.order_line.sorted("id")[-1].qty_delivered = 1.0
        with self.assertRefused("not to exceed"):
            order._create_invoices(final=True)

    def test_an_advance_counts_once(self):
        order = self._create_capped()
        wizard = self.env["sale.advance.payment.inv"].with_context(active_model="sale.order", active_ids=order.ids)
        wizard.create({"advance_payment_method": "fixed", "fixed_amount": 230.0}).create_invoices()
        order.invoice_ids.action_post()
        self.assertEqual(order.milestone_cap_used, 200.0)
        self._bill_hours(order, 3.0)
        self.assertEqual(order.milestone_cap_used, 500.0, "hours recover no advance of milestones")
        self._bill(order.milestone_ids).action_post()
        self.assertEqual(order.milestone_cap_used, 900.0)

    def test_an_advance_beyond_the_cap_is_refused(self):
        order = self._create_capped(cap=600.0)
        wizard = self.env["sale.advance.payment.inv"].with_context(active_model="sale.order", active_ids=order.ids)
        with self.assertRefused("not to exceed"):
            wizard.create({"advance_payment_method": "fixed", "fixed_amount": 1000.0}).create_invoices()

    def test_a_credit_gives_room_and_takes_it_again(self):
        order = self._create_capped()
        invoice = self._bill_hours(order, 10.0)
        refund = self._credit(invoice, post=False)
        self.assertEqual(order.milestone_cap_used, 1000.0, "a draft credit note may never be posted")
        refund.action_post()
        self.assertEqual(order.milestone_cap_used, 0.0)
        self._bill(order.milestone_ids).action_post()
        with self.assertRefused("without this credit note"):
            refund.button_draft()
        self.assertEqual(order.milestone_cap_used, 600.0)

    def test_a_forgotten_draft_does_not_keep_another_from_being_posted(self):
        order = self._create_capped(cap=600.0)
        first = self._bill_hours(order, 3.0, post=False)
        self._deliver(order, 6.0)
        second = order._create_invoices(final=True)
        first.invoice_line_ids.filtered("sale_line_ids").price_unit = 1000.0
        second.action_post()
        with self.assertRefused("not to exceed"):
            first.action_post()

    def test_expenses_of_the_order_count(self):
        order = self._create_capped()
        expense = self._create_product(
            name="Travel", type="service", invoice_policy="order", expense_policy="sales_price", taxes_id=False
        )
        order.order_line = [
            Command.create({"product_id": expense.id, "product_uom_qty": 1.0, "price_unit": 950.0, "is_expense": True})
        ]
        order._create_invoices(final=True).action_post()
        self.assertEqual(order.milestone_cap_used, 950.0)
        self._deliver(order, 1.0)
        with self.assertRefused("What is left: .*50.00"):
            order._create_invoices(final=True)

    def test_an_order_without_a_cap_bills_what_it_likes(self):
        order = self._create_capped(cap=0.0)
        self._bill_hours(order, 100.0)
        self.assertFalse(order.milestone_cap_used or order.milestone_cap_is_near)

    def test_other_currencies_are_counted_in_that_of_the_order(self):
        currency = self.setup_other_currency("JPY", rounding=1.0)
        order = self._create_capped(cap=1000.0, currency=currency)
        self._bill_hours(order, 10.0)
        self.assertEqual(order.milestone_cap_used, 1000.0)
        self._deliver(order, 10.1)
        with self.assertRefused("not to exceed"):
            order._create_invoices(final=True)

    def test_taxes_in_the_price_do_not_count(self):
        self.hours.taxes_id = self.tax_15_included
        order = self._create_capped(cap=600.0, price=115.0)
        self._bill_hours(order, 6.0)
        self.assertEqual(order.milestone_cap_used, 600.0)

    # -- warning -----------------------------------------------------------------------------------------

    def _warnings(self, order):
        activities = order.activity_ids | order.milestone_ids.activity_ids
        return activities.filtered(
            lambda activity: activity.activity_type_id == self.env.ref("milestone_billing.mail_activity_milestone_cap")
        )

    def test_the_threshold_warns_once(self):
        self.company.milestone_create_project = True
        order = self._create_capped()
        self._bill_hours(order, 7.0)
        self.assertFalse(self._warnings(order))
        self._bill_hours(order, 8.0)
        warnings = self._warnings(order)
        self.assertEqual(warnings.user_id, self.users["salesperson"] | self.users["project_manager"])
        self.assertIn("800.00", warnings[0].note)
        invoice = self._bill_hours(order, 9.0)
        self.assertEqual(self._warnings(order), warnings)
        self.assertIn("900.00", invoice.milestone_cap_note)
        self.assertTrue(order.milestone_cap_is_near)

    def test_a_credit_below_the_threshold_makes_the_next_warning_news(self):
        order = self._create_capped()
        invoice = self._bill_hours(order, 9.0)
        self.assertEqual(len(self._warnings(order)), 1)
        self._credit(invoice)
        self.assertFalse(order.milestone_cap_warned)
        self._bill(order.milestone_ids).action_post()
        self.assertEqual(len(self._warnings(order)), 1)
        self._bill_hours(order, 2.0)
        self.assertEqual(len(self._warnings(order)), 2)

    def test_it_does_not_matter_who_bills(self):
        order = self._create_capped()
        self._deliver(order, 9.0)
        invoice = order.with_user(self.users["invoicing"])._create_invoices(final=True) or order.invoice_ids
        invoice.with_user(self.users["invoicing"]).action_post()
        self.assertEqual(self._warnings(order).user_id, self.users["salesperson"])

    def test_a_row_of_the_order_is_written_so_that_two_bills_meet(self):
        order = self._create_capped()
        draft = self._bill_hours(order, 3.0, post=False)
        self.env.flush_all()
        self.env.cr.execute("SELECT xmin::text, ctid::text FROM sale_order WHERE id = %s", [order.id])
        before = self.env.cr.fetchone()
        order._check_cap(draft)
        self.env.cr.execute("SELECT xmin::text, ctid::text FROM sale_order WHERE id = %s", [order.id])
        self.assertNotEqual(self.env.cr.fetchone()[1], before[1])

    def test_a_cap_below_what_is_billed_is_refused(self):
        order = self._create_contract([100.0], milestone_invoice_policy="post")
        self._bill(order.milestone_ids)
        with self.assertRaises(UserError):
            order.milestone_cap_amount = 50.0
