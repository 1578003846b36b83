from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .common import ROLES, MilestoneCommon


@tagged("post_install", "-at_install")
class TestMultiCompany(MilestoneCommon):
    """Plan, order, invoice and evidence live in one company and one currency."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.setup_other_company()
        cls.other_company = cls.other["company"]
        cls.other_user = new_test_user(
            cls.env,
            login="milestone_other_company",
            groups=",".join(ROLES.values()),
            company_id=cls.other_company.id,
            company_ids=[Command.set(cls.other_company.ids)],
        )
        cls.order = cls._create_contract([1000.0])
        cls.milestone = cls.order.milestone_ids

    def _create_in_other_company(self, amounts):
        product = self.env["product.product"].create(
            {"name": "Work elsewhere", "type": "service", "taxes_id": [Command.set(self.other["default_tax_sale"].ids)]}
        )
        self.other_company.write({"milestone_product_id": product.id, "milestone_create_project": False})
        orders = self.env["sale.order"].with_company(self.other_company)
        order = orders.create(
            {
                "partner_id": self.client_company.id,
                "company_id": self.other_company.id,
                "milestone_approver_ids": [Command.set(self.approver.ids)],
                "milestone_ids": [
                    Command.create(self._prepare_milestone_values(a, n)) for n, a in enumerate(amounts, 1)
                ],
            }
        )
        order.action_confirm()
        return order.with_company(self.company)

    def test_another_company_reads_nothing(self):
        self._approve(self.milestone)
        records = (
            self.milestone,
            self.milestone.deliverable_ids,
            self.milestone.approval_ids,
            self.milestone.approval_ids.recipient_ids,
        )
        for record in records:
            with self.subTest(model=record._name):
                self.assertFalse(record.with_user(self.other_user).search([("id", "in", record.ids)]))
                with self.assertRaises(AccessError):
                    record.with_user(self.other_user).read(["display_name"])
        for name in ("action_verify_evidence", "action_create_invoices", "action_revert_approval", "action_hold"):
            with self.subTest(method=name), self.assertRaises(AccessError):
                getattr(self.milestone.with_user(self.other_user), name)()

    def test_company_keys_of_a_context_open_nothing(self):
        milestone = self.milestone.with_user(self.other_user).with_context(
            allowed_company_ids=self.company.ids, company_id=self.company.id, force_company=self.company.id
        )
        with self.assertRaises(AccessError):
            milestone.read(["name"])

    def test_invoices_are_of_the_company_of_the_order_whoever_runs_the_queue(self):
        elsewhere = self._create_in_other_company([500.0])
        self._approve(self.milestone + elsewhere.milestone_ids)
        self._run_queue()
        for order, company, data in (
            (self.order, self.company, self.company_data),
            (elsewhere, self.other_company, self.other),
        ):
            invoice = order.invoice_ids
            self.assertEqual(invoice.state, "posted", order.milestone_ids.invoice_error)
            self.assertEqual(invoice.company_id, company)
            self.assertEqual(invoice.journal_id.company_id, company)
            self.assertEqual(invoice.line_ids.tax_ids.company_id, company)
            income = invoice.line_ids.filtered(lambda line: line.display_type == "product").account_id
            self.assertIn(company, income.company_ids)
            self.assertEqual(len(order.invoice_ids), 1)
            self.assertTrue(data)

    def test_the_policy_and_product_of_a_company_are_its_own(self):
        self.other_company.write({"milestone_invoice_policy": "draft", "milestone_review_days": 3})
        elsewhere = self._create_in_other_company([500.0])
        self.assertEqual(elsewhere.milestone_invoice_policy, "draft")
        self.assertEqual(elsewhere.milestone_review_days, 3)
        self.assertEqual(self.order.milestone_invoice_policy, "post")
        self.assertEqual(elsewhere.milestone_ids.order_line_ids.product_id, self.other_company.milestone_product_id)

    def test_a_product_of_another_company_is_refused(self):
        foreign = self.env["product.product"].create({"name": "Foreign", "company_id": self.other_company.id})
        with self.assertRaises(UserError):
            self._create_contract([{"amount_untaxed": 1.0, "product_id": foreign.id}], confirm=False)
            self.env.flush_all()

    def test_a_milestone_of_another_company_is_not_joined(self):
        elsewhere = self._create_in_other_company([500.0])
        quotation = self._create_contract([1.0], confirm=False)
        with self.assertRaises(UserError):
            quotation.order_line.billing_milestone_id = elsewhere.milestone_ids

    def test_numbers_of_one_customer_do_not_mix_companies(self):
        (self.company + self.other_company).write({"milestone_invoice_grouping": "customer"})
        elsewhere = self._create_in_other_company([500.0])
        self._approve(self.milestone + elsewhere.milestone_ids)
        self._run_queue()
        self.assertEqual(len((self.order + elsewhere).invoice_ids), 2)

    def test_a_branch_bills_as_a_company_of_its_own(self):
        branch = self.env["res.company"].create({"name": "Branch", "parent_id": self.company.id})
        self.env.user.company_ids += branch
        branch.write({"milestone_product_id": self.milestone_product.id, "milestone_create_project": False})
        order = self._create_contract([100.0], company_id=branch.id, user_id=self.env.uid)
        self.assertEqual(order.milestone_ids.company_id, branch)
        self._approve(order.milestone_ids)
        self._run_queue()
        self.assertEqual(order.invoice_ids.company_id, branch, order.milestone_ids.invoice_error)
