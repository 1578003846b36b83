from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestGate(MilestoneCommon):
    """Order lines of a milestone are invoiceable once it is approved, and wholly then."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kinds = {
            "service, ordered": cls.company_data["product_service_order"],
            "service, delivered": cls.company_data["product_service_delivery"],
            "goods, ordered": cls.company_data["product_order_no"],
            "goods, delivered": cls.company_data["product_delivery_no"],
            "service, native milestones": cls._create_service("delivered_milestones"),
        }
        if "sale_timesheet" in cls.env.registry._init_modules:
            cls.kinds["service, timesheet"] = cls._create_service("delivered_timesheet")

    @classmethod
    def _create_service(cls, policy):
        return cls._create_product(name=policy, type="service", service_policy=policy, lst_price=90.0, taxes_id=False)

    def _check_line(self, line, step, **expected):
        for name, value in expected.items():
            if isinstance(value, str):
                self.assertEqual(line[name], value, f"{step}: {name}")
            else:
                self.assertAlmostEqual(line[name], value, 2, f"{step}: {name}")

    def _closed(self, **values):
        return {"qty_to_invoice": 0.0, "untaxed_amount_to_invoice": 0.0, "amount_to_invoice": 0.0, **values}

    def test_every_kind_of_product_waits_for_the_approval_and_is_then_billed_wholly(self):
        for kind, product in self.kinds.items():
            with self.subTest(kind=kind):
                self._check_life_of_a_line(product)

    def _check_life_of_a_line(self, item):
        values = {"product_id": item.id, "product_uom_qty": 3.0, "price_unit": 40.0}
        order = self._create_gated_order([[{**values, "tax_ids": [Command.set(self.tax_15.ids)]}]], confirm=False)
        milestone, line = order.milestone_ids, order.milestone_ids.order_line_ids
        self._check_line(line, "quotation", **self._closed(qty_delivered=0.0, invoice_status="no"))
        order.action_confirm()
        self._check_line(line, "confirmed", **self._closed(qty_delivered=0.0, invoice_status="no"))
        self.assertEqual(order.invoice_status, "no")
        self._submit(milestone)
        self._check_line(line, "submitted", **self._closed(qty_delivered=0.0, invoice_status="no"))
        self._approve(milestone)
        due = {"qty_to_invoice": 3.0, "untaxed_amount_to_invoice": 120.0, "amount_to_invoice": 138.0}
        # hours are evidence of their own; everything else is delivered when it is accepted
        delivered = 0.0 if line.qty_delivered_method == "timesheet" else 3.0
        self._check_line(line, "approved", qty_delivered=delivered, invoice_status="to invoice", **due)
        self.assertEqual(order.invoice_status, "to invoice")
        order.milestone_invoice_policy = "draft"
        self._run_queue()
        invoice = milestone.invoice_line_ids.move_id
        self.assertEqual(invoice.state, "draft")
        # as in Odoo: a draft is no longer to be invoiced by quantity, and not yet invoiced by amount
        drafted = {"qty_to_invoice": 0.0, "untaxed_amount_to_invoice": 120.0, "amount_to_invoice": 138.0}
        self._check_line(line, "draft", qty_invoiced=3.0, invoice_status="invoiced", **drafted)
        invoice.action_post()
        posted = self._closed(qty_invoiced=3.0, invoice_status="invoiced", untaxed_amount_invoiced=120.0)
        self._check_line(line, "posted", **posted)
        self.assertBilledAsAgreed(order)
        invoice.button_draft()
        self._check_line(line, "reset", qty_invoiced=3.0, invoice_status="invoiced", **drafted)
        invoice.button_cancel()
        self._check_line(line, "cancelled", qty_invoiced=0.0, invoice_status="to invoice", **due)
        invoice.button_draft()
        self._check_line(line, "draft again", qty_invoiced=3.0, invoice_status="invoiced", **drafted)
        invoice.with_context(force_delete=True).unlink()
        self._check_line(line, "deleted", qty_invoiced=0.0, invoice_status="to invoice", **due)
        self._run_queue()
        self.assertFalse(milestone.invoice_line_ids, "a deleted draft is a decision: nothing is made again by itself")
        milestone.action_create_invoices()
        milestone.invoice_line_ids.move_id.action_post()
        self.assertBilledAsAgreed(order)

    def test_a_credit_by_quantity_is_billed_again_only_when_somebody_decides_so(self):
        order, milestone, line, invoice = self._create_billed(quantity=4.0, price=25.0)
        self._credit(invoice, edit=lambda refund: refund.invoice_line_ids.filtered("product_id").write({"quantity": 1}))
        self._check_line(line, "credited", **self._closed(qty_invoiced=3.0, invoice_status="no"))
        self.assertEqual(order.invoice_status, "no")
        self._run_queue()
        self.assertEqual(len(self._invoices(milestone)), 1)
        milestone.action_rebill()
        due = {"qty_to_invoice": 1.0, "untaxed_amount_to_invoice": 25.0, "amount_to_invoice": 28.75}
        self._check_line(line, "open again", invoice_status="to invoice", **due)
        milestone.action_create_invoices()
        self.assertEqual((self._invoices(milestone) - invoice).amount_untaxed, 25.0)
        self.assertBilledAsAgreed(order)

    def test_a_credit_by_price_is_billed_again_for_the_same_amount(self):
        order, milestone, line, invoice = self._create_billed(quantity=4.0, price=25.0)
        self._credit(
            invoice, edit=lambda refund: refund.invoice_line_ids.filtered("product_id").write({"price_unit": 7.77})
        )
        self._check_line(line, "credited", **self._closed(untaxed_amount_invoiced=100 - 31.08))
        milestone.action_rebill()
        self._check_line(line, "open again", untaxed_amount_to_invoice=31.08, invoice_status="to invoice")
        self.assertGreater(line.qty_to_invoice, 0.0)
        milestone.action_create_invoices()
        self.assertEqual((self._invoices(milestone) - invoice).amount_untaxed, 31.08)
        self.assertBilledAsAgreed(order)

    def test_a_full_credit_is_billed_again_in_full(self):
        order, milestone, line, invoice = self._create_billed(quantity=4.0, price=25.0)
        self._credit(invoice)
        self._check_line(line, "credited", **self._closed(qty_invoiced=0.0, invoice_status="no"))
        milestone.action_rebill()
        self._check_line(line, "open again", qty_to_invoice=4.0, untaxed_amount_to_invoice=100.0)
        milestone.action_create_invoices()
        self.assertBilledAsAgreed(order)

    def test_nothing_is_left_to_invoice_of_what_is_billed_whatever_its_taxes_were_rounded_with(self):
        self.company.write({"tax_calculation_rounding_method": "round_globally", "milestone_invoice_grouping": "order"})
        work = {"product_id": self.milestone_product.id, "price_unit": 30.06}
        order = self._create_gated_order([[work], [work]])
        invoice = self._bill(order.milestone_ids)
        credit = self._credit(
            invoice, edit=lambda refund: refund.invoice_line_ids.filtered("product_id").write({"price_unit": 10.02})
        )
        self.assertEqual(credit.amount_tax, 3.01, "and 1.50 for each of the two lines")
        for milestone in order.milestone_ids:
            milestone.action_rebill()
        order.milestone_ids.action_create_invoices()
        self._credit(credit, post=False).unlink()  # begun, and thought better of
        self.assertEqual((order.invoice_status, order.amount_to_invoice), ("invoiced", 0.0))

    def _create_billed(self, quantity, price, taxes=None):
        values = {"product_id": self.milestone_product.id, "product_uom_qty": quantity, "price_unit": price}
        values["tax_ids"] = [Command.set((taxes or self.tax_15).ids)]
        order = self._create_gated_order([[values]])
        invoice = self._bill(order.milestone_ids)
        return order, order.milestone_ids, order.milestone_ids.order_line_ids, invoice

    def test_free_lines_are_invoiced_as_usual_beside_closed_gates(self):
        order = self._create_contract([1000.0], lines=[{"product_id": self.product_a.id, "price_unit": 50.0}])
        free = order.order_line.filtered(lambda line: line.product_id == self.product_a)
        self.assertEqual(order.invoice_status, "to invoice")
        invoice = order._create_invoices()
        self.assertEqual(invoice.invoice_line_ids.sale_line_ids, free)
        invoice.action_post()
        self.assertEqual(order.invoice_status, "no")
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_approving_one_milestone_bills_its_section_and_lines_and_nothing_else(self):
        order = self._create_gated_order(
            [
                [
                    {"product_id": self.product_a.id, "name": "A"},
                    {"display_type": "line_note", "name": "Note", "product_uom_qty": 0},
                    {"display_type": "line_subsection", "name": "Part", "product_uom_qty": 0},
                    {"product_id": self.product_b.id, "name": "B"},
                ],
                [{"product_id": self.product_a.id, "name": "C"}],
            ],
            free=[
                {"product_id": self.product_a.id, "name": "Free"},
                {"display_type": "line_note", "name": "Free note", "product_uom_qty": 0},
            ],
        )
        first, second = order.milestone_ids
        invoice = self._bill(first)
        self.assertEqual(
            [line.name.split("\n")[-1] for line in invoice.invoice_line_ids.sorted("sequence")],
            ["Milestone 1", "A", "Note", "Part", "B"],
        )
        self.assertEqual(invoice.line_ids.billing_milestone_id, first)
        rest = order._create_invoices(final=True)
        names = [line.name.split("\n")[-1] for line in rest.invoice_line_ids.sorted("sequence")]
        self.assertEqual(names, ["Free", "Free note"])
        self.assertFalse(rest.line_ids.billing_milestone_id)
        self.assertEqual(second.billing_state, "not_due")

    def test_a_global_discount_stays_with_the_lines_it_is_for(self):
        order = self._create_contract(
            [1000.0], confirm=False, lines=[{"product_id": self.product_a.id, "price_unit": 500.0, "tax_ids": False}]
        )
        wizard = self.env["sale.order.discount"].create(
            {"sale_order_id": order.id, "discount_type": "so_discount", "discount_percentage": 0.1}
        )
        wizard.action_apply_discount()
        discounts = order.order_line.filtered(lambda line: line._is_discount_line())
        self.assertEqual(sum(discounts.mapped("price_subtotal")), -150.0)
        order.action_confirm()
        self._bill(order.milestone_ids)
        order._create_invoices(final=True).action_post()
        self.assertBilledAsAgreed(order)

    def test_a_global_discount_under_a_milestone_is_billed_with_it(self):
        order = self._create_contract([1000.0], confirm=False)
        self.env["sale.order.discount"].create(
            {"sale_order_id": order.id, "discount_type": "so_discount", "discount_percentage": 0.1}
        ).action_apply_discount()
        order.order_line.filtered(lambda line: line._is_discount_line()).billing_milestone_id = order.milestone_ids
        self.assertEqual(order.milestone_ids.amount_untaxed, 900.0)
        order.action_confirm()
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_negative_lines_inside_a_milestone_wait_and_are_billed_with_it(self):
        order = self._create_gated_order(
            [
                [
                    {"product_id": self.product_a.id, "price_unit": 100.0},
                    {"product_id": self.product_a.id, "price_unit": 10.0, "product_uom_qty": -2.0},
                ]
            ],
            free=[{"product_id": self.product_a.id, "price_unit": 5.0}],
        )
        free_invoice = order._create_invoices(final=True)
        self.assertEqual(free_invoice.amount_untaxed, 5.0)
        free_invoice.action_post()
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(invoice.amount_untaxed, 80.0)
        self.assertBilledAsAgreed(order)

    def test_a_combo_is_gated_as_a_whole(self):
        combo = self.env["product.combo"].create(
            {"name": "Choice", "combo_item_ids": [Command.create({"product_id": self.product_a.id})]}
        )
        bundle = self._create_product(
            name="Bundle", type="combo", combo_ids=[Command.set(combo.ids)], lst_price=300.0, taxes_id=False
        )
        order = self._create_contract([{"name": "Combo"}], confirm=False)
        parent = self.env["sale.order.line"].create({"order_id": order.id, "product_id": bundle.id})
        item = self.env["sale.order.line"].create(
            {
                "order_id": order.id,
                "product_id": self.product_a.id,
                "combo_item_id": combo.combo_item_ids.id,
                "linked_line_id": parent.id,
                "price_unit": 300.0,
            }
        )
        parent.billing_milestone_id = order.milestone_ids
        self.assertEqual(item.billing_milestone_id, order.milestone_ids, "the items of a combo follow it")
        order.action_confirm()
        self.assertEqual(order.invoice_status, "no")
        self.assertEqual(parent.qty_to_invoice + item.qty_to_invoice, 0.0)
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(invoice.amount_untaxed, 300.0)
        self.assertFalse(parent.qty_to_invoice + item.qty_to_invoice)

    def test_a_milestone_on_hold_is_not_invoiceable(self):
        order = self._create_contract([100.0])
        milestone, line = order.milestone_ids, order.milestone_ids.order_line_ids
        milestone.action_hold("Dispute")
        self._approve(milestone)
        self._check_line(line, "on hold", **self._closed(qty_delivered=1.0))
        milestone.action_release()
        self._check_line(line, "released", qty_to_invoice=1.0, untaxed_amount_to_invoice=100.0)

    def test_delivered_quantities_of_a_milestone_are_not_typed_in(self):
        order = self._create_gated_order([[{"product_id": self.company_data["product_service_delivery"].id}]])
        line = order.milestone_ids.order_line_ids
        with self.assertRefused("agreed with the client"):
            line.qty_delivered = 1.0
        self.assertEqual(line.qty_to_invoice, 0.0)

    def test_taxes_included_and_foreign_currency_are_due_exactly(self):
        eur = self.setup_other_currency("EUR", rates=[("1900-01-01", 0.9)])
        self.milestone_product.taxes_id = self.tax_15_included
        order = self._create_contract([86.96], currency=eur)
        line = order.milestone_ids.order_line_ids
        self._approve(order.milestone_ids)
        self._check_line(line, "approved", untaxed_amount_to_invoice=86.96, amount_to_invoice=100.0)
        self._run_queue()
        self._check_line(line, "posted", **self._closed(untaxed_amount_invoiced=86.96))
        self.assertEqual(order.invoice_ids.currency_id, eur)

    def test_hours_logged_do_not_open_the_gate(self):
        if "service, timesheet" not in self.kinds:
            self.skipTest("sale_timesheet is not installed")
        item = self.kinds["service, timesheet"]
        order = self._create_gated_order([[{"product_id": item.id, "price_unit": 100.0}]])
        milestone, line = order.milestone_ids, order.milestone_ids.order_line_ids
        # what "Create invoice" with a period of timesheets does, for hours logged and for none
        line.qty_to_invoice = 1.0
        self.assertEqual(line.qty_to_invoice, 0.0)
        self._approve(milestone)
        order.order_line._recompute_qty_to_invoice(None, None)
        self.assertEqual(line.qty_to_invoice, 1.0)
        self._run_queue()
        self.assertBilledAsAgreed(order)

    def test_an_accrual_in_the_past_does_not_know_a_later_approval(self):
        order = self._create_contract([100.0])
        self._approve(order.milestone_ids)
        line = order.milestone_ids.order_line_ids
        past = line.with_context(accrual_entry_date="2020-01-31")
        self.assertEqual(past.qty_delivered_at_date, 0.0)
        self.assertEqual(line.qty_delivered, 1.0)
