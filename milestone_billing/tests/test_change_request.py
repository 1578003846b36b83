from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import html2plaintext

from .common import MilestoneCommon


class ChangeCommon(MilestoneCommon):
    """Change requests as salespeople write them and clients approve them."""

    @classmethod
    def _create_request(cls, order, *lines, **values):
        return cls.env["sale.change.request"].create(
            {
                "order_id": order.id,
                "title": "Second language",
                "reason": "The client opens a shop abroad.",
                "line_ids": [Command.create(line) for line in lines],
                **values,
            }
        )

    @classmethod
    def _approve_request(cls, request):
        request.action_submit()
        request._approve(cls._evidence(request))
        return request

    @classmethod
    def _change(cls, order, *lines, **values):
        return cls._approve_request(cls._create_request(order, *lines, **values))

    def assertContract(self, order):
        """Original + approved changes = revised = the order, and each milestone is its lines."""
        order.invalidate_recordset()
        currency = order.currency_id
        changes = sum(order.change_order_ids.mapped("amount_delta"))
        self.assertMoney(currency, order.milestone_original_amount + changes, order.milestone_revised_amount)
        self.assertMoney(currency, order.milestone_changes_amount, changes)
        live = order._get_live_milestones()
        self.assertMoney(currency, sum(live.mapped("amount_untaxed")), order.milestone_revised_amount)
        self.assertMoney(currency, sum(live.mapped("amount_total")), order.amount_total)
        for milestone in order.milestone_ids:
            self.assertMoney(currency, sum(milestone.order_line_ids.mapped("price_subtotal")), milestone.amount_untaxed)

    def _bill_all(self, order):
        """Approve and bill everything that is left; the documents of the order are the revised contract."""
        for milestone in order._get_live_milestones().filtered(lambda milestone: milestone.state != "approved"):
            if not milestone.deliverable_ids:
                milestone.deliverable_ids = [Command.create({"name": "Work"})]
            self._show_work(milestone)
            self._submit(milestone)
            self._approve(milestone)
        self._run_queue()
        drafts = order.invoice_ids.filtered(lambda move: move.state == "draft")
        drafts.action_post()
        order.invalidate_recordset()
        currency = order.currency_id
        sign = {"out_invoice": 1, "out_refund": -1}
        posted = order.invoice_ids.filtered(lambda move: move.state == "posted")
        for name in ("amount_untaxed", "amount_tax", "amount_total"):
            billed = sum(sign[move.move_type] * move[name] for move in posted)
            self.assertMoney(currency, billed, order[name], name)
        self.assertEqual(order.invoice_status, "invoiced")


@tagged("post_install", "-at_install")
class TestChangeRequest(ChangeCommon):
    """What a change request does to a contract, once both sides approved it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 2000.0, 3000.0], milestone_invoice_policy="post")
        cls.first, cls.second, cls.third = cls.order.milestone_ids

    # -- what is applied ------------------------------------------------------------------------------

    def test_milestones_are_added_with_deliverables_in_their_place(self):
        date = fields.Date.today() + relativedelta(months=6)
        request = self._change(
            self.order,
            {
                "action": "add",
                "new_name": "Translation",
                "amount": 500.0,
                "new_date": date,
                "after_id": self.first.id,
                "deliverable_ids": [
                    Command.create({"action": "add", "name": "Texts", "acceptance_criteria": "Proofread"})
                ],
            },
        )
        self.assertEqual(request.state, "approved")
        self.assertEqual(request.change_order_number, 1)
        added = request.line_ids.created_milestone_id
        plan = self.order._get_live_milestones()
        self.assertEqual(plan[1], added)
        self.assertEqual(added.contract_date, date)
        self.assertEqual(added.deliverable_ids.mapped("acceptance_criteria"), ["Proofread"])
        self.assertEqual(added.change_request_id, request)
        self.assertEqual((added.amount_original, added.amount_changes), (0.0, 500.0))
        self.assertEqual(self.order.milestone_original_amount, 6000.0)
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_amount_name_date_and_deliverables_change_at_once(self):
        self.second.deliverable_ids = [Command.create({"name": "Manual"})]
        draft, manual = self.second.deliverable_ids
        date = fields.Date.today() + relativedelta(months=9)
        self._change(
            self.order,
            {
                "action": "change",
                "milestone_id": self.second.id,
                "amount": 333.33,
                "new_name": "Shop in two languages",
                "new_date": date,
                "deliverable_ids": [
                    Command.create({"action": "change", "deliverable_id": draft.id, "name": "Final draft"}),
                    Command.create({"action": "remove", "deliverable_id": manual.id}),
                    Command.create({"action": "add", "name": "Glossary"}),
                ],
            },
        )
        self.assertEqual(self.second.name, "Shop in two languages")
        self.assertEqual(self.second.contract_date, date)
        self.assertEqual(self.second.amount_untaxed, 2333.33)
        self.assertEqual(self.second.deliverable_ids.mapped("name"), ["Final draft", "Glossary"])
        delta = self.second.order_line_ids.filtered("change_line_id")
        self.assertEqual((delta.price_subtotal, delta.tax_ids), (333.33, self.tax_15))
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_split_moves_exactly_what_it_takes(self):
        tax_before = self.order.amount_tax
        request = self._change(
            self.order,
            {"action": "split", "milestone_id": self.third.id, "amount": 999.99, "new_name": "Third, part two"},
        )
        self.assertEqual(request.amount_delta, 0.0)
        self.assertEqual(request.total_delta, 0.0)
        self.assertEqual(self.third.amount_untaxed, 2000.01)
        self.assertEqual(request.line_ids.created_milestone_id.amount_untaxed, 999.99)
        self.assertMoney(self.order.currency_id, self.order.amount_tax, tax_before)
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_what_several_changes_made_of_a_milestone_moves_as_one_line(self):
        analytic = self.env["account.analytic.account"].create(
            {"name": "Pumps", "plan_id": self.env["account.analytic.plan"].create({"name": "Sites"}).id}
        )
        order = self._create_contract([66000.0, 1000.0])
        build = order.milestone_ids.sorted("sequence")[0]
        build.order_line_ids.analytic_distribution = {str(analytic.id): 100}
        for amount in (5000.0, -6000.0):
            request = self._change(order, {"action": "change", "milestone_id": build.id, "amount": amount})
            self.assertEqual(len(request.line_ids.order_line_ids), 1, f"{amount} is one line")
        request = self._change(
            order, {"action": "split", "milestone_id": build.id, "amount": 25000.0, "new_name": "Build, phase 2"}
        )
        added = request.line_ids.created_milestone_id
        self.assertEqual(len(added.order_line_ids), 1)
        self.assertEqual(added.order_line_ids.price_tax, 3750.0)
        self.assertEqual(sum(build.order_line_ids.mapped("price_tax")), 6000.0)
        self.assertContract(order)
        self._bill_all(order)

    def test_merge_brings_amount_and_deliverables_along(self):
        self.second.deliverable_ids = [Command.create({"name": "Draft"})]
        self._change(self.order, {"action": "merge", "milestone_id": self.second.id, "target_id": self.third.id})
        self.assertEqual(self.second.state, "cancelled")
        self.assertEqual(self.second.amount_untaxed, 0.0)
        self.assertEqual(self.third.amount_untaxed, 5000.0)
        self.assertIn("Draft", self.third.deliverable_ids.mapped("name"))
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_cancelled_milestone_leaves_nothing_to_bill(self):
        request = self._change(self.order, {"action": "cancel", "milestone_id": self.third.id})
        self.assertEqual(request.amount_delta, -3000.0)
        self.assertEqual(self.third.state, "cancelled")
        self.assertEqual(self.order._get_order_lines_to_report().mapped("name"), ["Milestone 1", "Milestone 2"])
        self.assertMoney(self.order.currency_id, self.order.amount_total, 3450.0)
        self.assertContract(self.order)
        self._bill_all(self.order)

    def _change_review(self):
        review = {"new_approver_ids": [Command.set(self.other_contact.ids)], "new_review_days": 3}
        self._change(self.order, {"action": "change", "milestone_id": self.second.id, **review})

    def test_own_approvers_and_review_period(self):
        self._change_review()
        policy = self.second._get_policy()
        self.assertEqual(policy.approvers, self.other_contact)
        self.assertEqual(policy.due_date, fields.Date.context_today(self.second) + relativedelta(days=3))
        self.assertNotEqual(self.first._get_policy().approvers, self.other_contact)

    def test_own_approvers_are_those_of_that_client_and_contract_only(self):
        self._change_review()
        copied = self.order.copy()
        self.assertFalse(copied.milestone_ids.approver_ids, "the copy is another contract")
        self.assertFalse(any(copied.milestone_ids.mapped("review_days")))
        self.other_contact.parent_id = self.stranger.commercial_partner_id
        self.assertEqual(self.second._get_policy().approvers, self.order.milestone_approver_ids, "left the client")
        self.other_contact.parent_id = self.client_company
        copied.milestone_ids.approver_ids = self.other_contact
        copied.with_user(self.users["invoicing"]).partner_id = self.stranger.commercial_partner_id
        self.assertFalse(copied.milestone_ids.approver_ids, "contacts of another company")
        copied.partner_id = self.order.partner_id
        copied.milestone_ids.approver_ids = self.other_contact
        copied.partner_id = self.approver
        self.assertEqual(copied.milestone_ids.approver_ids, self.other_contact, "contacts of the same company")

    def test_locked_orders_change_and_stay_locked(self):
        self.order.action_lock()
        self._change(self.order, {"action": "change", "milestone_id": self.second.id, "amount": -0.01})
        self.assertTrue(self.order.locked)
        self.assertEqual(self.second.amount_untaxed, 1999.99)
        self.assertContract(self.order)

    def test_goods_are_not_ordered_by_a_change_of_price(self):
        goods = self._create_product(
            name="Server", type="consu", lst_price=800.0, taxes_id=[Command.set(self.tax_20.ids)]
        )
        order = self._create_contract([100.0], confirm=False)
        line = self.env["sale.order.line"].create(
            {"order_id": order.id, "product_id": goods.id, "billing_milestone_id": order.milestone_ids.id}
        )
        order.action_confirm()
        self._change(order, {"action": "change", "milestone_id": order.milestone_ids.id, "amount": 90.0})
        added = order.order_line.filtered("change_line_id")
        self.assertNotIn(goods, added.product_id)
        self.assertEqual(added.mapped("tax_ids"), (line | order.order_line).tax_ids)
        self.assertMoney(order.currency_id, sum(added.mapped("price_subtotal")), 90.0)
        self.assertContract(order)

    # -- what is approved already ----------------------------------------------------------------------

    def test_increase_of_an_approved_milestone_is_a_milestone_of_its_own(self):
        self._bill(self.first)
        billed = self.first.invoice_line_ids
        request = self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 250.0})
        added = request.line_ids.created_milestone_id
        self.assertEqual((added.amount_untaxed, added.state), (250.0, "draft"))
        sentences = request._get_decided_snapshot()["impact"]["lines"][0]
        self.assertEqual(sentences, [f"New milestone {added.name} for $\xa0250.00, as Milestone 1 is approved already"])
        self.assertEqual(request.line_ids.summary.splitlines(), sentences)
        self.assertEqual(self.first.amount_untaxed, 1000.0)
        self.assertEqual(self.first.invoice_line_ids, billed)
        self.assertEqual(added.deliverable_ids.mapped("name"), [request.title], "something to present")
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_what_is_said_of_an_increase_is_of_the_new_milestone(self):
        self._bill(self.first)
        date = fields.Date.today() + relativedelta(months=3)
        request = self._change(
            self.order,
            {
                "action": "change",
                "milestone_id": self.first.id,
                "amount": 250.0,
                "new_name": "First, more of it",
                "new_date": date,
                "deliverable_ids": [Command.create({"action": "add", "name": "Addendum"})],
            },
        )
        added = request.line_ids.created_milestone_id
        self.assertEqual((added.name, added.contract_date), ("First, more of it", date))
        self.assertEqual(added.deliverable_ids.mapped("name"), ["Addendum"])
        self.assertNotEqual(self.first.name, added.name)

    def test_reduction_of_a_billed_milestone_is_a_credit_note(self):
        self._bill(self.first)
        invoice = self._invoices(self.first)
        request = self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        sentences = ["Milestone 1: − $\xa0100.00", "Milestone 1: what is billed already is credited"]
        self.assertEqual(request._get_decided_snapshot()["impact"]["lines"], [sentences])
        self.assertEqual(request.line_ids.summary.splitlines(), sentences)
        self.assertEqual(self.first.billing_state, "to_invoice")
        self.assertEqual(invoice.amount_untaxed, 1000.0)
        self._run_queue()
        credit = self.first.invoice_line_ids.move_id - invoice
        self.assertEqual((credit.move_type, credit.state), ("out_refund", "posted"))
        self.assertEqual(credit.reversed_entry_id, invoice)
        self.assertMoney(self.order.currency_id, credit.amount_total, 115.0)
        self.assertEqual(self.first.amount_invoiced, 900.0)
        self.assertIn(self.first.billing_state, ("invoiced", "partial"))
        self._run_queue()
        self.assertEqual(self.first.invoice_line_ids.move_id, invoice | credit, "credited once")
        self.assertContract(self.order)
        self._bill_all(self.order)

    def _bill_edited(self, order, edit):
        """Bill the first milestone of ``order``, as an accountant does who changes the draft first."""
        order.milestone_invoice_policy = "draft"
        invoice = self._bill(order.milestone_ids[0])
        edit(invoice)
        invoice.action_post()
        order.milestone_invoice_policy = "post"
        return invoice

    def _bill_with_taxes(self, order, taxes, changed=None):
        """Bill the first milestone of ``order`` with ``taxes``, in place of those that are ``changed``, or of all."""

        def edit(invoice):
            lines = invoice.invoice_line_ids.filtered("product_id")
            lines.filtered(lambda line: not changed or line.tax_ids == changed).tax_ids = taxes

        return self._bill_edited(order, edit)

    def _reduce(self, order, amount):
        """Reduce the first milestone of ``order``; return the credit note."""
        milestone = order.milestone_ids[0]
        self._change(order, {"action": "change", "milestone_id": milestone.id, "amount": -amount})
        known = milestone.invoice_line_ids.move_id
        self._run_queue()
        return milestone.invoice_line_ids.move_id - known

    def test_credit_note_of_a_reduction_goes_to_the_customer_of_its_invoice(self):
        payer, warehouse = self.env["res.partner"].create([{"name": name} for name in ("Payer", "Warehouse")])

        def edit(invoice):
            with Form(invoice) as form:
                form.partner_id = payer
            invoice.partner_shipping_id = warehouse

        invoice = self._bill_edited(self.order, edit)
        credit = self._reduce(self.order, 100.0)
        self.assertEqual((credit.partner_id, credit.partner_shipping_id), (payer, warehouse))
        self.assertEqual((credit.reversed_entry_id, credit.payment_state), (invoice, "paid"))
        self.assertMoney(self.order.currency_id, invoice.amount_residual, 1150.0 - 115.0)
        self.assertEqual(credit.line_ids.partner_id, payer)

    def test_credit_note_of_a_reduction_has_the_fiscal_position_of_its_invoice(self):
        income = self.company_data["default_account_revenue"]
        abroad = income.copy({"name": "Sales abroad"})
        taxed, booked = self.env["account.fiscal.position"].create([{"name": "Taxed"}, {"name": "Booked"}])
        self.tax_20.write({"fiscal_position_ids": taxed.ids, "original_tax_ids": self.tax_15.ids})
        booked.account_ids = [Command.create({"account_src_id": income.id, "account_dest_id": abroad.id})]
        for position, is_updated, taxes, account in (
            (taxed, True, self.tax_20, income),
            (taxed, False, self.tax_15, income),
            (booked, True, self.env["account.tax"], abroad),  # Odoo leaves out what the position does not name
            (booked, False, self.tax_15, income),
        ):

            def edit(invoice, position=position, is_updated=is_updated):
                with Form(invoice) as form:
                    form.fiscal_position_id = position
                if is_updated:
                    invoice.action_update_fpos_values()

            with self.subTest(position=position.name, is_updated=is_updated):
                order = self._create_contract([400.0, 200.0])
                self._bill_edited(order, edit)
                credit = self._reduce(order, 100.0)
                self.assertEqual((credit.fiscal_position_id, credit.amount_untaxed), (position, 100.0))
                self.assertEqual(self._tax_amounts(credit), {tax: -tax.amount for tax in taxes})
                self.assertEqual(credit.invoice_line_ids.account_id, account)

    def test_credit_note_of_a_reduction_with_included_taxes_changed_on_its_invoice(self):
        self.milestone_product.taxes_id = self.tax_15_included
        tax = self.tax_15_included.copy({"name": "20 % included", "amount": 20.0})
        order = self._create_contract([400.0, 200.0])
        self._bill_with_taxes(order, tax)
        credit = self._reduce(order, 33.33)
        self.assertEqual((credit.amount_untaxed, self._tax_amounts(credit)), (33.33, {tax: -6.67}))

    def test_credit_note_of_a_reduction_has_the_taxes_of_each_kind_of_line(self):
        def line(product, tax):
            return {"product_id": product.id, "price_unit": 200.0, "tax_ids": tax.ids}

        order = self._create_gated_order(
            [[line(self.milestone_product, self.tax_15), line(self.milestone_product, self.tax_10)]]
        )
        self._bill_with_taxes(order, self.tax_20, changed=self.tax_15)
        credit = self._reduce(order, 100.0)
        self.assertEqual(self._tax_amounts(credit), {self.tax_20: -10.0, self.tax_10: -5.0})

    def test_what_is_reduced_with_the_taxes_of_its_invoice_is_billed_again_with_those_of_the_order(self):
        order = self._create_contract([400.0, 200.0])
        milestone = order.milestone_ids[0]
        invoice = self._bill_with_taxes(order, self.tax_20)
        self.assertEqual(self._reduce(order, 100.0).amount_total, 120.0)
        self._credit(
            invoice, edit=lambda refund: refund.invoice_line_ids.filtered("product_id").write({"price_unit": 300.0})
        )
        self.assertMoney(order.currency_id, sum(order.invoice_ids.mapped("amount_total_signed")), 0.0)
        milestone.action_rebill()
        self.assertMoney(order.currency_id, order.amount_to_invoice, 345.0)
        milestone.action_create_invoices()
        again = self._invoices(milestone) - invoice
        self.assertEqual((again.amount_untaxed, self._tax_amounts(again)), (300.0, {self.tax_15: 45.0}))
        self._bill(order.milestone_ids[1])
        self.assertBilledAsAgreed(order)

    def test_a_reduction_on_an_invoice_with_other_taxes_is_billed_again_with_those_of_the_order(self):
        order = self._create_contract([400.0, 200.0], milestone_invoice_policy="manual")
        milestone = order.milestone_ids[0]
        self._approve(milestone)
        self._change(order, {"action": "change", "milestone_id": milestone.id, "amount": -100.0})
        milestone.action_create_invoices()
        invoice = self._invoices(milestone)
        lines = invoice.invoice_line_ids.filtered("product_id")
        lines.tax_ids = self.tax_20
        self.assertEqual((lines.mapped("price_subtotal"), invoice.amount_tax), ([400.0, -100.0], 60.0))
        invoice.action_post()

        def halve(refund):
            for line in refund.invoice_line_ids.filtered("product_id"):
                line.price_unit /= 2

        self._credit(invoice, edit=halve)
        milestone.action_rebill()
        self.assertMoney(order.currency_id, order.amount_to_invoice, 172.5)
        milestone.action_create_invoices()
        again = self._invoices(milestone) - invoice
        self.assertEqual((again.amount_untaxed, self._tax_amounts(again)), (150.0, {self.tax_15: 22.5}))

    def test_reduction_waits_for_a_draft_invoice(self):
        self.order.milestone_invoice_policy = "draft"
        self._bill(self.first)
        invoice = self._invoices(self.first)
        self.assertEqual(invoice.state, "draft")
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self._run_queue()
        self.assertEqual(self._invoices(self.first), invoice)
        invoice.action_post()
        self.assertEqual(self.first.billing_state, "to_invoice")
        self.first.with_user(self.users["invoicing"]).action_create_invoices()
        credit = self.first.invoice_line_ids.move_id - invoice
        self.assertEqual(credit.move_type, "out_refund")
        credit.action_post()
        self._bill_all(self.order)

    def test_reduction_that_was_credited_by_hand_leaves_nothing_to_invoice(self):
        self._bill(self.first)
        self._credit(self._invoices(self.first))
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -1000.0})
        self._run_queue()
        self.assertMoney(self.order.currency_id, self.first.amount_invoiced, 0.0)
        self.assertNotEqual(self.first.billing_state, "to_invoice")
        self._bill_all(self.order)

    def test_reductions_to_nothing_leave_no_tax(self):
        """15 % of 34,259.23 is a cent less than those of its parts."""
        order = self._create_contract([34259.23, 1.0], milestone_invoice_policy="post")
        milestone = order.milestone_ids[0]
        self._bill(milestone)
        for amount in (-30833.31, -3425.92):
            self._change(order, {"action": "change", "milestone_id": milestone.id, "amount": amount})
        self.assertMoney(order.currency_id, milestone.amount_untaxed, 0.0)
        self.assertMoney(order.currency_id, milestone.amount_total, 0.0)
        self._run_queue()
        self.assertMoney(order.currency_id, milestone.amount_invoiced, 0.0)
        self.assertContract(order)
        self._bill_all(order)

    def test_reduction_that_no_invoice_bears_is_credited_by_hand(self):
        self._bill(self.first)
        invoice = self._invoices(self.first)

        def credit(amount):
            self._credit(invoice, edit=lambda refund: refund.invoice_line_ids.write({"price_unit": amount}))

        credit(500.0)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -700.0})
        with self.assertRefused("700.00 of .* credit it by hand. .*200.00 more is billed"):
            self.first.action_create_invoices()
        credit(200.0)
        self.assertNotEqual(self.first.billing_state, "to_invoice")
        self._bill_all(self.order)

    def test_reduction_of_what_is_open_for_billing_again_is_credited(self):
        self._bill(self.first)

        def a_third(refund):
            refund.invoice_line_ids.filtered("product_id").price_unit = 300.0

        self._credit(self._invoices(self.first), edit=a_third)
        self.first.action_rebill()
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -600.0})
        self.assertEqual(self.first.billing_state, "to_invoice")
        self.assertEqual(set(self.first.order_line_ids.mapped("qty_to_invoice")), {0.0})
        self._run_queue()
        credit = self.first.invoice_line_ids.move_id.sorted("id")[-1]
        self.assertEqual((credit.move_type, credit.amount_untaxed), ("out_refund", 600.0))
        self.assertEqual(self.first.amount_invoiced, 100.0)
        self.first.action_create_invoices()  # and what was credited by hand is billed again
        self.assertMoney(self.order.currency_id, self.first.amount_invoiced, 400.0)
        self._bill_all(self.order)

    def test_reduction_of_what_was_billed_again_is_credited(self):
        self._bill(self.first)
        self._credit(self._invoices(self.first))
        self.first.action_rebill()
        self.first.action_create_invoices()
        again = self._invoices(self.first).sorted("id")[-1]
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self._run_queue()
        credit = self.first.invoice_line_ids.move_id.sorted("id")[-1]
        self.assertEqual((credit.reversed_entry_id, credit.state), (again, "posted"))
        self.assertEqual(credit.amount_untaxed, 100.0)
        self._bill_all(self.order)

    def test_reduction_is_part_of_what_is_billed_again(self):
        self.order.milestone_invoice_policy = "manual"
        self._submit(self.first)
        self._approve(self.first)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self.first.action_create_invoices()
        invoice = self._invoices(self.first)
        invoice.action_post()
        self._credit(invoice)
        self.first.action_rebill()
        self.first.action_create_invoices()
        again = self._invoices(self.first) - invoice
        again.action_post()
        self.assertEqual(again.amount_untaxed, 900.0)
        self.order.milestone_invoice_policy = "post"
        self._bill_all(self.order)

    def test_credit_note_that_a_draft_with_the_reduction_relies_on_stays(self):
        self.order.milestone_invoice_policy = "draft"
        self._bill(self.first)
        invoice = self._invoices(self.first)
        invoice.action_post()
        for amount in (500.0, 100.0):
            credit = self._credit(
                invoice,
                edit=lambda refund, amount=amount: refund.invoice_line_ids.filtered("product_id").write(
                    {"price_unit": amount}
                ),
            )
            if amount == 500.0:
                self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self.first.action_rebill()
        self.first.action_create_invoices()
        again = self._invoices(self.first) - invoice
        self.assertEqual((again.state, again.amount_untaxed), ("draft", 500.0))
        with self.assertRefused("would be billed beyond the agreed"):
            credit.button_draft()
        again.action_post()
        self._bill_all(self.order)

    def test_reduction_before_the_invoice_goes_with_it(self):
        self.order.milestone_invoice_policy = "manual"
        self._submit(self.first)
        self._approve(self.first)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self.first.with_user(self.users["invoicing"]).action_create_invoices()
        invoice = self._invoices(self.first)
        self.assertEqual(len(invoice), 1)
        self.assertEqual(invoice.amount_untaxed, 900.0)
        self.assertContract(self.order)

    def test_order_is_invoiced_when_a_reduction_was_invoiced_in_parts(self):
        self.order.milestone_invoice_policy = "manual"
        self._submit(self.first)
        self._approve(self.first)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        reduction = self.first.order_line_ids.filtered("is_reduction")
        self.assertEqual(reduction.invoice_status, "to invoice")
        self.first.action_create_invoices()
        invoice = self._invoices(self.first)
        invoice.invoice_line_ids.filtered(lambda line: line.sale_line_ids == reduction).price_unit = 300.0
        invoice.action_post()
        self.assertEqual(invoice.amount_untaxed, 700.0)
        self.first.action_rebill()
        self.first.action_create_invoices()
        rest = self._invoices(self.first) - invoice
        self.assertEqual(rest.amount_untaxed, 200.0)
        rest.action_post()
        self.assertEqual(self.first.order_line_ids.mapped("invoice_status"), ["invoiced", "invoiced"])
        self.order.milestone_invoice_policy = "post"
        self._bill_all(self.order)

    def test_reduction_that_came_during_a_hold_is_credited_after_it(self):
        self._bill(self.first)
        self.order.milestone_invoice_policy = "manual"
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self.first.action_hold("Dispute")
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -50.0})
        self.env.flush_all()  # another request
        self.first.action_release()
        self.assertEqual(self.first.billing_state, "to_invoice")
        self.first.action_create_invoices()
        self.order.invoice_ids.filtered(lambda move: move.state == "draft").action_post()
        self.assertEqual(self.first.amount_invoiced, 850.0)
        self.order.milestone_invoice_policy = "post"
        self._bill_all(self.order)

    def test_what_is_reduced_to_nothing_is_invoiced_at_nothing_in_any_round(self):
        self._bill(self.first)
        invoice = self._invoices(self.first)
        refund = self._credit(invoice)
        self.first.action_rebill()
        (refund | invoice).button_draft()
        (refund | invoice).with_context(force_delete=True).unlink()
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -1000.0})
        self.assertEqual(self.first.billing_state, "to_invoice")
        self.first.action_create_invoices()
        self.assertEqual(self._invoices(self.first).amount_total, 0.0)
        self._bill_all(self.order)

    def test_what_is_reduced_to_nothing_stays_invoiced_when_a_part_of_nothing_is_credited(self):
        self._check_credit_of_a_tenth_is_nothing(reduced=1000.0, billed=0.0)

    def test_what_is_reduced_to_next_to_nothing_stays_invoiced_when_less_than_a_cent_is_credited(self):
        self._check_credit_of_a_tenth_is_nothing(reduced=999.95, billed=0.05)

    def _check_credit_of_a_tenth_is_nothing(self, reduced, billed):
        self.order.milestone_invoice_policy = "manual"
        self._submit(self.first)
        self._approve(self.first)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -reduced})
        self.first.action_create_invoices()
        self._invoices(self.first).action_post()

        def credit_a_tenth(refund):
            for line in refund.invoice_line_ids:
                line.price_unit = line.price_unit / 10

        refund = self._credit(self._invoices(self.first), edit=credit_a_tenth)
        self.assertEqual((refund.state, refund.amount_untaxed), ("posted", 0.0))
        self.assertEqual(self.first.amount_invoiced, billed)
        self.assertEqual(self.first.order_line_ids.mapped("invoice_status"), ["invoiced", "invoiced"])

    def test_reduction_on_hold_is_not_invoiced(self):
        self.order.milestone_invoice_policy = "manual"
        self._submit(self.first)
        self._approve(self.first)
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": -100.0})
        self.first.action_hold("Dispute")
        self.assertEqual(self.first.order_line_ids.mapped("invoice_status"), ["no", "no"])

    def test_credit_note_of_a_reduction_gives_retention_back(self):
        if not self.company.milestone_retention_account_id:
            self.company._create_retention_account()
        order = self._create_contract(
            [1000.0, 1000.0], milestone_invoice_policy="post", milestone_retention_percentage=10
        )
        order_milestone = order.milestone_ids[0]
        self._bill(order_milestone)
        self._change(order, {"action": "change", "milestone_id": order_milestone.id, "amount": -500.0})
        self._run_queue()
        credit = order_milestone.invoice_line_ids.move_id.filtered(lambda move: move.move_type == "out_refund")
        self.assertEqual(len(credit), 1)
        self.assertMoney(
            order.currency_id, order.retention_retained, order._get_retention_target(order_milestone.amount_invoiced)
        )
        self._bill_all(order)

    def test_advance_is_recovered_of_the_revised_contract(self):
        order = self._create_contract(
            [1000.0, 1000.0],
            milestone_invoice_policy="post",
            milestone_advance_type="percentage",
            milestone_advance_percentage=20.0,
            milestone_advance_policy="manual",
        )
        order.with_user(self.users["invoicing"]).action_invoice_advance()
        self._bill(order.milestone_ids[0])
        self._change(
            order,
            {"action": "change", "milestone_id": order.milestone_ids[1].id, "amount": -250.0},
            {"action": "add", "new_name": "More", "amount": 400.0},
        )
        self._bill_all(order)
        self.assertMoney(order.currency_id, order.advance_remaining, 0.0)

    def test_what_is_retained_beyond_the_changed_contract_is_told(self):
        self.company._create_retention_account()
        order = self._create_contract(
            [5000.0, 5000.0], milestone_retention_percentage=10.0, milestone_retention_cap=8.0
        )
        self._bill(order.milestone_ids[0])
        change = {"action": "change", "milestone_id": order.milestone_ids[1].id}
        for amount, terms in (
            (-1000.0, ["Retention: $\xa0720.00 in all instead of $\xa0800.00."]),
            (
                -4000.0,
                [
                    "Retention: $\xa0480.00 in all instead of $\xa0800.00.",
                    "$\xa020.00 more than that are retained already, until they are credited or released.",
                ],
            ),
        ):
            request = self._create_request(order, {**change, "amount": amount})
            request.action_submit()
            self.assertEqual(request._get_impact()["terms"], terms)

    def test_release_milestone_keeps_its_share_of_changes(self):
        order = self._create_contract(
            [1000.0, 1000.0, 1000.0],
            milestone_invoice_policy="post",
            milestone_retention_percentage=10.0,
            milestone_retention_method="release_milestone",
        )
        planned = order.milestone_ids.filtered(lambda milestone: not milestone.is_retention)
        release = order.milestone_ids - planned
        self.assertEqual(release.amount_untaxed, 300.0)
        self._change(
            order,
            {"action": "change", "milestone_id": planned[0].id, "amount": 500.0},
            {"action": "cancel", "milestone_id": planned[2].id},
        )
        self.assertMoney(order.currency_id, release.amount_untaxed, 250.0)
        self.assertMoney(order.currency_id, planned[0].amount_untaxed, 1350.0)
        self.assertContract(order)
        self._bill_all(order)

    # -- wholly or not at all ---------------------------------------------------------------------------

    def test_nothing_is_applied_when_one_line_fails(self):
        request = self._create_request(
            self.order,
            {"action": "change", "milestone_id": self.first.id, "amount": 100.0},
            {"action": "cancel", "milestone_id": self.third.id},
        )
        request.action_submit()
        evidence = self._evidence(request)
        self._submit(self.third)
        self._approve(self.third)
        with self.assertRefused("changed since this was written"), self.cr.savepoint():
            request._approve(evidence)
        self.env.invalidate_all()
        self.assertEqual(request.state, "submitted")
        self.assertEqual(self.first.amount_untaxed, 1000.0)
        self.assertFalse(self.order.order_line.filtered("change_line_id"))

    def test_rehearsal_leaves_no_trace(self):
        lines, messages = self.order.order_line, self.order.message_ids
        request = self._create_request(self.order, {"action": "add", "new_name": "More", "amount": 100.0})
        request.action_submit()
        self.assertEqual(request.total_delta, 115.0)
        self.order.invalidate_recordset()
        self.assertEqual(self.order.order_line, lines)
        self.assertEqual(self.order.message_ids, messages)
        self.assertEqual(len(self.order.milestone_ids), 3)

    def test_review_of_a_changed_milestone_ends(self):
        self._submit(self.second)
        recipient = self.second.approval_id.recipient_ids
        self._change(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 1.0})
        self.assertEqual(self.second.state, "in_progress")
        self.assertEqual(self.second.approval_ids.decision, "withdrawn")
        self.assertFalse(recipient._may_open())
        self._submit(self.second) if self.second.state == "draft" else self.second.action_submit()
        snapshot = self.second.approval_id.snapshot
        self.assertIn("change_orders", snapshot)

    def test_mail_of_a_change_order_says_what_it_costs(self):
        """A change of dates leaves the price as it is, and does not change it by nothing."""
        date = fields.Date.today() + relativedelta(months=3)
        for values, words in (
            ({"new_date": date}, "the price of the contract stays $ 6,000.00"),
            ({"amount": 50.0}, "it changes the contract by $ 50.00 untaxed, to $ 6,050.00"),
        ):
            request = self._change(self.order, {"action": "change", "milestone_id": self.second.id, **values})
            body = self.env.ref("milestone_billing.mail_template_change_request_approved")._render_field(
                "body_html", request.accepted_approval_id.recipient_ids[:1].ids
            )
            text = " ".join(html2plaintext(next(iter(body.values()))).replace("*", "").split())
            self.assertIn(words, text.replace("\xa0", " "))

    # -- conflicts --------------------------------------------------------------------------------------

    def test_two_requests_on_one_milestone_are_named_and_not_merged(self):
        first = self._create_request(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 10.0})
        other = self._create_request(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 20.0})
        self.assertIn(other.name, first.conflict)
        self.assertIn(first.name, other.conflict)
        other.action_submit()
        evidence = self._evidence(other)
        mails = self.env["mail.mail"].sudo().search([])
        self._approve_request(first)
        self.assertEqual(other.state, "draft")
        told = (self.env["mail.mail"].sudo().search([]) - mails).filtered(lambda mail: "does not wait" in mail.subject)
        self.assertIn(f"{first.display_name} changed {self.second.name} first.", told.body_html)
        self.assertEqual(other.approval_ids.decision, "withdrawn")
        with self.assertRefused("does not wait"):
            other._approve(evidence)
        with self.assertRefused("changed since this was written"):
            other.action_submit()
        other.action_refresh_base()
        self.assertFalse(other.conflict)
        self._approve_request(other)
        self.assertEqual(self.second.amount_untaxed, 2030.0)
        self.assertEqual((first.change_order_number, other.change_order_number), (1, 2))
        self.assertContract(self.order)

    def test_what_an_open_request_amounts_to_follows_the_contract(self):
        """What a cancellation takes from the contract, and the days, are those of the contract as it is by now."""
        start = fields.Date.today() + relativedelta(months=1)
        second, third = (
            {"action": "change", "milestone_id": milestone.id, "new_date": start}
            for milestone in self.second | self.third
        )
        self._change(self.order, second, third)
        ending = self._create_request(self.order, {"action": "cancel", "milestone_id": self.second.id})
        moving = self._create_request(
            self.order,
            {"action": "change", "milestone_id": self.first.id, "new_date": start + relativedelta(days=10)},
        )
        self.assertEqual((ending.amount_delta, moving.days_delta), (-2000.0, 10))
        third["new_date"] = start + relativedelta(days=7)
        self._change(self.order, {**second, "amount": 30.0}, third)
        self.env.flush_all()
        self.assertEqual((ending.amount_delta, moving.days_delta), (-2030.0, 3))
        ending.action_refresh_base()
        self._approve_request(ending)
        self.env.flush_all()
        self.assertEqual(ending.amount_delta, -2030.0)
        self.assertEqual(self.order.milestone_changes_amount, sum(self.order.change_order_ids.mapped("amount_delta")))

    def test_requests_on_different_milestones_do_not_disturb_each_other(self):
        """What waits for the client is presented anew, with the contract as it is by now; its link goes on working."""
        first = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 10.0})
        other = self._create_request(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 20.0})
        self.assertFalse(first.conflict)
        other.action_submit()
        shown = other.approval_id
        mails = self.env["mail.mail"].sudo().search([])
        self._approve_request(first)
        self.assertEqual((other.state, other.approval_round), ("submitted", 2))
        self.assertEqual((shown.decision, other.approval_id.submitted_by), ("superseded", shown.submitted_by))
        self.assertTrue(shown.recipient_ids._may_open())
        self.assertTrue(other._is_snapshot_current())
        told = self.env["mail.mail"].sudo().search([]) - mails
        self.assertIn(other.title, " ".join(told.mapped("subject")))
        with self.assertRefused("changed since you opened it"):
            other._approve({**self._evidence(other), "snapshot_hash": shown.snapshot_hash})
        other._approve(self._evidence(other))
        self.assertContract(self.order)

    def test_what_cannot_follow_the_contract_goes_back_and_keeps_nothing_from_being_approved(self):
        first = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 10.0})
        other = self._create_request(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 20.0})
        (first | other).action_submit()
        evidence = self._evidence(first)
        with patch.object(self.registry["sale.change.request"], "_create_approval", side_effect=UserError("No way.")):
            first._approve(evidence)
        self.assertEqual((first.state, other.state), ("approved", "draft"))
        self.assertEqual(other.approval_ids.mapped("decision"), ["withdrawn"])
        self.assertIn("No way.", other.activity_ids.filtered("note")[-1:].note)

    def test_a_renewed_presentation_shows_the_taxes_of_the_contract_as_it_is(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 10.0})
        request.action_submit()
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        request._write_protected({"total_delta": 99.0})
        request._renew_round()
        self.assertEqual(request.total_delta, 11.5)
        self.assertEqual(request.approval_round, 2)

    def test_what_cannot_be_applied_any_more_goes_back_to_the_team(self):
        request = self._create_request(self.order, {"action": "cancel", "milestone_id": self.third.id})
        request.action_submit()
        self._approve(self.third)
        request._renew_round()
        self.assertEqual(request.state, "draft")
        self.assertIn("changed since", request.activity_ids.filtered("note")[-1:].note)

    # -- impact -----------------------------------------------------------------------------------------

    def test_impact_is_what_comes(self):
        end = fields.Date.today() + relativedelta(days=90)
        self._change(self.order, {"action": "change", "milestone_id": self.third.id, "new_date": end})
        request = self._create_request(
            self.order,
            {"action": "add", "new_name": "More", "amount": 100.0, "new_date": end + relativedelta(days=14)},
            {"action": "change", "milestone_id": self.first.id, "amount": -50.0},
            {"action": "cancel", "milestone_id": self.second.id},
            effort_hours=16.0,
        )
        impact = request._get_impact()
        self.assertEqual(impact["original"], "6000.00")
        self.assertEqual(impact["this_change"], "-1950.00")
        self.assertEqual(impact["revised"], "4050.00")
        self.assertEqual(impact["days"], 14)
        self.assertEqual([row["kind"] for row in impact["rows"]], ["changed", "cancelled", "same", "added"])
        self._approve_request(request)
        self.assertMoney(self.order.currency_id, self.order.milestone_revised_amount, 4050.0)
        self.assertEqual(request._get_impact()["revised"], "4050.00", "kept as it was decided")
        self._change(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        self.assertEqual(request._get_impact()["revised"], "4050.00")

    def test_statement_names_original_changes_and_revised(self):
        self._change(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 250.0})
        values = self.order._get_statement_values()
        row = next(row for row in values["rows"] if row["milestone"] == self.second)
        self.assertEqual((row["contract"], row["changes"], row["revised"]), (2000.0, 250.0, 2250.0))

    def test_a_later_change_leaves_the_statement_of_an_invoice(self):
        self._change(self.order, {"action": "change", "milestone_id": self.second.id, "amount": 250.0})
        self._bill(self.first)
        invoice = self._invoices(self.first)
        report = "milestone_billing.report_statement"

        def state():
            self.env.flush_all()
            self.env.invalidate_all()
            values = invoice._get_statement_values()["statements"][0]
            page = self.env["ir.actions.report"]._render_qweb_html(report, invoice.ids)[0].decode()
            return values["rows"], values["subtotal"], page.count("Second language"), page.count("(cancelled)")

        before = state()
        self.assertEqual(len(before[0]), 3)
        self.assertEqual(before[1]["changes"], 250.0)
        self.assertEqual(before[2:], (1, 0))
        self._change(
            self.order,
            {"action": "change", "milestone_id": self.first.id, "amount": -100.0},
            {"action": "cancel", "milestone_id": self.third.id},
            {"action": "add", "new_name": "Added", "amount": 5.0},
        )
        self._run_queue()
        self.assertEqual(state(), before)
        credit = self.first.invoice_line_ids.move_id - invoice
        rows = credit._get_statement_values()["statements"][0]["rows"]
        self.assertEqual([row["number"] for row in rows], [1, 2, None, 3])
        self.assertEqual([row["changes"] for row in rows], [-100.0, 250.0, -3000.0, 5.0])
        self.assertEqual((rows[0]["to_date"], rows[0]["percent"]), (900.0, 100.0))

    def _assert_stated_as_changed(self, order):
        """The statement and the history of the contract give the same sums."""
        order.invalidate_recordset()
        values = order._get_statement_values()
        history = (order.milestone_original_amount, order.milestone_changes_amount, order.milestone_revised_amount)
        self.assertEqual(tuple(values["subtotal"][name] for name in ("contract", "changes", "revised")), history)
        return values["rows"]

    def test_statement_keeps_the_row_of_a_cancelled_milestone(self):
        self._change(self.order, {"action": "cancel", "milestone_id": self.second.id})
        self._change(self.order, {"action": "change", "milestone_id": self.third.id, "amount": 500.0})
        self.assertEqual(self.order.milestone_original_amount, 6000.0)
        self.assertEqual(self.order.milestone_changes_amount, -1500.0)
        rows = self._assert_stated_as_changed(self.order)
        self.assertEqual([row["number"] for row in rows], [1, None, 2], "numbers are those of the plan")
        self.assertEqual([row["cancelled"] for row in rows], [False, True, False])
        row = rows[1]
        self.assertEqual((row["contract"], row["changes"], row["revised"]), (2000.0, -2000.0, 0.0))
        self.assertEqual((row["to_date"], row["percent"], row["remaining"]), (0.0, 0.0, 0.0))
        report = "milestone_billing.report_order_statement"
        page = self.env["ir.actions.report"]._render_qweb_html(report, self.order.ids)[0].decode()
        self.assertEqual(page.count("(cancelled)"), 1)

    def test_statement_keeps_the_row_of_a_merged_milestone(self):
        self._change(self.order, {"action": "merge", "milestone_id": self.first.id, "target_id": self.second.id})
        rows = self._assert_stated_as_changed(self.order)
        self.assertEqual([row["changes"] for row in rows], [-1000.0, 1000.0, 0.0])
        added = self._change(self.order, {"action": "add", "new_name": "Extra", "amount": 70.0})
        added = added.line_ids.created_milestone_id
        self._change(self.order, {"action": "cancel", "milestone_id": added.id})
        row = self._assert_stated_as_changed(self.order)[-1]
        self.assertEqual((row["contract"], row["changes"], row["revised"]), (0.0, 0.0, 0.0))

    # -- workflow ---------------------------------------------------------------------------------------

    def test_internal_review_comes_first(self):
        self.order.with_user(self.users["sale_manager"]).milestone_internal_review = True
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        request.with_user(self.users["sale_all"]).action_submit()
        self.assertEqual(request.state, "internal_review")
        self.assertEqual(request.activity_ids.activity_type_id.res_model, "sale.change.request")
        with self.assertRefused("under review"):
            request.title = "Something else"
        request.with_user(self.users["reviewer"]).action_internal_approve()
        self.assertFalse(request.activity_ids)
        self.assertEqual(request.state, "submitted")
        request._approve(self._evidence(request))
        self.assertEqual(request.state, "approved")
        self.assertFalse(request._verify_evidence())

    def test_client_declines(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        request.action_submit()
        with self.assertRefused("why you decline"):
            request._reject({**self._evidence(request), "comment": " "})
        request._reject({**self._evidence(request), "comment": "Too late"})
        self.assertEqual(request.state, "rejected")
        self.assertEqual(request.approval_ids.decision, "rejected")
        self.assertFalse(self.order.change_order_ids)
        self.assertFalse(request._verify_evidence())

    def test_client_asks_for_another_offer(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 9.0})
        request.action_submit()
        request._request_changes({**self._evidence(request), "comment": "Cheaper"})
        self.assertEqual(request.state, "changes_requested")
        request.line_ids.amount = 5.0
        self._approve_request(request)
        self.assertEqual(self.first.amount_untaxed, 1005.0)
        self.assertEqual(request.approval_round, 2)

    def test_declined_and_withdrawn_inside(self):
        request, other = (
            self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 9.0})
            for _number in range(2)
        )
        self.assertEqual(request.action_reject()["res_model"], "sale.approval.reason")
        request.action_reject("Out of scope")
        self.assertEqual(request.state, "rejected")
        other.action_submit()
        with self.assertRefused("with the client"):
            other.action_reject("No")
        other.action_cancel()
        self.assertEqual(other.state, "cancelled")
        self.assertEqual(other.approval_ids.decision, "withdrawn")
        for decided in (request, other):
            with self.assertRefused("decided"):
                decided.action_cancel()
            with self.assertRefused("decided"):
                decided.title = "Again"
            with self.assertRefused("cannot be presented"):
                decided.action_submit()

    def test_work_at_risk_is_marked_until_it_is_approved(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 9.0})
        request.action_start_at_risk()
        self.assertTrue(request.is_at_risk)
        self.assertIn(request, self.env["sale.change.request"].search([("is_at_risk", "=", True)]))
        with self.assertRefused("marked already"):
            request.action_start_at_risk()
        self._approve_request(request)
        self.assertFalse(request.is_at_risk)

    def test_lost_work_at_risk_is_told(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 9.0})
        request.action_start_at_risk()
        request.action_reject("No budget")
        self.assertIn("at risk", request.activity_ids.mapped("summary")[0])

    def test_days_of_a_change_order_are_those_that_the_client_approved(self):
        order = self._create_contract(
            [{"name": "One", "amount_untaxed": 10.0, "contract_date": "2030-01-10"}]
            + [{"name": "Two", "amount_untaxed": 10.0, "contract_date": "2030-02-10"}]
        )
        one, two = order.milestone_ids.sorted("sequence")
        later = self._create_request(order, {"action": "change", "milestone_id": one.id, "new_date": "2030-03-01"})
        self.assertEqual(later.days_delta, 19)
        self._change(order, {"action": "change", "milestone_id": two.id, "new_date": "2030-02-20"})
        later.action_submit()
        self.assertEqual(later.days_delta, 9)
        later.sudo()._approve(self._evidence(later, consent="Agreed."))
        self.assertEqual(sum(order.change_order_ids.mapped("days_delta")), 19, "from February 10 to March 1")

    def test_what_the_team_was_asked_to_do_ends_with_the_request(self):
        for end in (
            lambda request: request.action_cancel(),
            lambda request: request.action_reject("Not now."),
            lambda request: (
                request.action_submit(),
                request.sudo()._approve(self._evidence(request, consent="Agreed.")),
            ),
        ):
            request = self._create_request(
                self.order, {"action": "change", "milestone_id": self.second.id, "amount": 9.0}
            )
            request._recall("Look again.")
            self.assertTrue(request.activity_ids)
            end(request)
            self.assertFalse(request.activity_ids)

    def test_more_review_rounds_than_included_propose_a_change(self):
        order = self._create_contract([1000.0], milestone_review_rounds=2)
        milestone = order.milestone_ids
        for number in (1, 2):
            self._submit(milestone) if number == 1 else milestone.action_submit()
            self.assertFalse(order.change_request_ids)
            milestone._request_changes({**self._evidence(milestone), "comment": "Nicer"})
        self.assertEqual(len(order.change_request_ids), 1)
        self.assertEqual(order.change_request_ids.line_ids.milestone_id, milestone)
        milestone.action_submit()
        milestone._request_changes({**self._evidence(milestone), "comment": "Nicer still"})
        self.assertEqual(len(order.change_request_ids), 1, "one is open already")

    def test_an_order_that_comes_back_is_what_the_last_change_led_to(self):
        request = self._change(
            self.order,
            {"action": "cancel", "milestone_id": self.third.id},
            {"action": "change", "milestone_id": self.second.id, "amount": 100.0},
        )
        agreed = self.order.milestone_contract_hash
        self.order._action_cancel()
        self.order.action_draft()
        self.assertEqual(self.third.state, "cancelled")
        self.order.action_confirm()
        self.assertEqual(self.order.milestone_contract_hash, agreed, "the evidence refers to the first agreement")
        self.assertFalse(request._verify_evidence())
        self.assertContract(self.order)
        self._bill_all(self.order)

    def test_cancelled_order_ends_open_requests(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 9.0})
        request.action_submit()
        self.order._action_cancel()
        self.assertEqual(request.state, "cancelled")

    # -- refusals ---------------------------------------------------------------------------------------

    def test_what_cannot_be_applied_is_named(self):
        self._submit(self.first)
        self._approve(self.first)
        cases = [
            ({"action": "add", "amount": 5.0}, "needs a name"),
            ({"action": "add", "new_name": "Free", "amount": 0.0}, "needs an amount"),
            ({"action": "change", "milestone_id": self.second.id}, "Nothing changes"),
            ({"action": "change", "milestone_id": self.second.id, "amount": -2000.0}, "Cancel it instead"),
            ({"action": "change", "milestone_id": self.second.id, "amount": -2000.01}, "Cancel it instead"),
            ({"action": "change", "milestone_id": self.first.id, "new_name": "X"}, "only its amount"),
            ({"action": "change", "milestone_id": self.first.id, "amount": -1000.01}, "cannot be reduced"),
            ({"action": "split", "milestone_id": self.second.id, "amount": 2000.0, "new_name": "X"}, "less than"),
            ({"action": "split", "milestone_id": self.second.id, "amount": 5.0}, "Name the milestone"),
            ({"action": "split", "milestone_id": self.first.id, "amount": 5.0, "new_name": "X"}, "cannot be split"),
            ({"action": "merge", "milestone_id": self.second.id}, "into which other"),
            ({"action": "merge", "milestone_id": self.second.id, "target_id": self.first.id}, "cannot be merged"),
            ({"action": "cancel", "milestone_id": self.first.id}, "cannot be cancelled"),
        ]
        for line, message in cases:
            with self.subTest(line=line):
                request = self._create_request(self.order, line)
                with self.assertRefused(message):
                    request.action_submit()
                self.assertEqual(request.state, "draft")

    def test_a_reduction_that_taxes_make_negative_is_refused(self):
        """What is left of three lines, a cent in all, rounds to less than nothing with their taxes."""
        Tax = self.env["account.tax"]
        rates = {rate: Tax.create({"name": f"Rate {rate}", "amount": rate}) for rate in (20, 21, -15)}
        included = Tax.create({"name": "Rate 15, included", "amount": 15, "price_include_override": "tax_included"})
        withheld = [(101.75, rates[21] + rates[-15]), (94.84, rates[20] + rates[-15]), (157.28, included)]
        order = self.env["sale.order"].create(
            {
                "partner_id": self.client_company.id,
                "milestone_ids": [Command.create({"name": "Design"})],
                "order_line": [
                    Command.create(
                        {"product_id": self.product_a.id, "price_unit": price, "tax_ids": [Command.set(taxes.ids)]}
                    )
                    for price, taxes in withheld
                ],
            }
        )
        milestone = order.milestone_ids
        order.order_line.billing_milestone_id = milestone
        order.action_confirm()
        reduction = {"action": "change", "milestone_id": milestone.id, "amount": 0.01 - milestone.amount_untaxed}
        request = self._create_request(order, reduction)
        with self.assertRefused("With taxes, Design would come to .*0.01, which no invoice can bill"):
            request.action_submit()
        self.assertEqual(milestone.amount_untaxed, 333.36)

    def test_nothing_to_change_is_refused(self):
        with self.assertRefused("changes nothing yet"):
            self._create_request(self.order).action_submit()
        twice = {"action": "change", "milestone_id": self.second.id, "amount": 1.0}
        with self.assertRefused("several lines"):
            self._create_request(self.order, twice, dict(twice)).action_submit()

    def test_quotations_change_without_requests(self):
        quotation = self._create_contract([100.0], confirm=False)
        with self.assertRefused("change the quotation itself"):
            self._create_request(quotation)

    def test_milestones_of_other_contracts_are_refused(self):
        other = self._create_contract([100.0])
        with self.assertRefused("another contract", ValidationError):
            self._create_request(self.order, {"action": "cancel", "milestone_id": other.milestone_ids.id})

    def test_strangers_do_not_become_approvers(self):
        with self.assertRefused("only contacts", ValidationError):
            self._create_request(
                self.order,
                {
                    "action": "change",
                    "milestone_id": self.second.id,
                    "new_approver_ids": [Command.set(self.stranger.ids)],
                },
            )

    def test_protected_fields_are_out_of_reach(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        for values in (
            {"state": "approved"},
            {"applied_on": fields.Datetime.now()},
            {"amount_delta": 5.0},
            {"change_order_number": 7},
            {"agreed_contract": "{}"},
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                request.write(values)
        with self.assertRaises(AccessError):
            request.line_ids.write({"base_values": {}})
        for values in ({"change_line_id": request.line_ids.id}, {"is_reduction": True}):
            with self.subTest(values=values), self.assertRaises(AccessError):
                self.first.order_line_ids.write(values)
            with self.subTest(create=values), self.assertRaises(AccessError):
                self.env["sale.order.line"].create({"order_id": self.order.id, **values})
        with self.assertRaises(UserError):
            self.env["sale.order.line"].with_context(milestone_agreed_change=True).create(
                {
                    "order_id": self.order.id,
                    "billing_milestone_id": self.first.id,
                    "product_id": self.milestone_product.id,
                }
            )

    def test_who_may_present_a_change(self):
        project_user = self.users["project_user"]
        order = self._create_contract([100.0], milestone_create_project=True)
        order.project_id.sudo().privacy_visibility = "employees"
        request = (
            self.env["sale.change.request"]
            .with_user(project_user)
            .create(
                {
                    "order_id": order.id,
                    "title": "Found on the way",
                    "reason": "The data is worse than said.",
                    "line_ids": [Command.create({"action": "change", "milestone_id": order.milestone_ids.id})],
                }
            )
        )
        for method in ("action_submit", "action_cancel", "action_start_at_risk"):
            with self.subTest(method=method), self.assertRaises(AccessError):
                getattr(request, method)()
        with self.assertRaises(AccessError):
            request.action_reject("No")
        self.assertEqual(request.requested_by_id, project_user.partner_id)
        with self.assertRaises(AccessError):
            request.with_user(self.users["employee"]).read(["title"])

    def test_drafts_of_the_team_can_be_deleted_and_nothing_else(self):
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        request.unlink()
        request = self._create_request(self.order, {"action": "change", "milestone_id": self.first.id, "amount": 1.0})
        request.action_submit()
        with self.assertRefused("are kept"):
            request.unlink()

    def test_the_form_raises_a_request(self):
        action = self.order.action_view_change_requests()
        with Form(self.env["sale.change.request"].with_context(**action["context"])) as form:
            form.title = "Second language"
            form.reason = "New market"
            with form.line_ids.new() as line:
                line.action = "change"
                line.milestone_id = self.second
                line.amount = 12.5
        request = form.record
        self.assertEqual(request.order_id, self.order)
        self.assertEqual(request.amount_delta, 12.5)
        self.assertEqual(request.name, f"{self.order.name}/CR1")
        self.assertIn("12.50", request.impact_html)


@tagged("post_install", "-at_install")
class TestChangeRequestAmounts(ChangeCommon):
    """Changes are exact in every currency and with every way to round taxes."""

    def _play(self, order):
        milestones = order.milestone_ids
        self._bill(milestones[0])
        before = order.amount_total
        request = self._change(
            order,
            {"action": "change", "milestone_id": milestones[0].id, "amount": -order.currency_id.rounding},
            {"action": "change", "milestone_id": milestones[1].id, "amount": 33 * order.currency_id.rounding},
            {
                "action": "split",
                "milestone_id": milestones[2].id,
                "amount": 7 * order.currency_id.rounding,
                "new_name": "Part",
            },
            {"action": "merge", "milestone_id": milestones[3].id, "target_id": milestones[4].id},
            {"action": "cancel", "milestone_id": milestones[5].id},
        )
        self.assertMoney(order.currency_id, order.amount_total, before + request.total_delta)
        self.assertContract(order)
        self._bill_all(order)

    def _create(self, **values):
        taxes = self.tax_10, self.tax_20, self.tax_15_included
        order = self._create_contract([10.01, 20.02, 33.33, 40.04, 50.05, 66.67], confirm=False, **values)
        for number, milestone in enumerate(order.milestone_ids):
            milestone.order_line_ids.tax_ids = taxes[number % 3]
            self.env["sale.order.line"].create(
                {
                    "order_id": order.id,
                    "billing_milestone_id": milestone.id,
                    "product_id": self.milestone_product.id,
                    "price_unit": order.currency_id.round(7.77),
                    "tax_ids": [Command.set((taxes[(number + 1) % 3]).ids)],
                }
            )
        order.action_confirm()
        return order

    def test_taxes_rounded_by_line(self):
        self.company.tax_calculation_rounding_method = "round_per_line"
        self._play(self._create(milestone_invoice_policy="post"))

    def test_taxes_rounded_globally(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        self._play(self._create(milestone_invoice_policy="post"))

    def test_currencies_without_and_with_three_decimals(self):
        for name in ("JPY", "BHD"):
            with self.subTest(currency=name):
                currency = self.env["res.currency"].with_context(active_test=False).search([("name", "=", name)])
                currency.active = True
                self.env["res.currency.rate"].create({"currency_id": currency.id, "rate": 3.0, "name": "2020-01-01"})
                self._play(self._create(milestone_invoice_policy="post", currency=currency))
