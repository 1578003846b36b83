from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestInstall(MilestoneCommon):
    """Native milestones, orders and invoices without a billing milestone behave as before."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.native_product = cls._create_product(
            name="Native milestones", type="service", service_policy="delivered_milestones", taxes_id=False
        )
        cls.project = cls.env["project.project"].create(
            {"name": "Native", "allow_milestones": True, "partner_id": cls.client_company.id}
        )
        cls.order = cls.env["sale.order"].create(
            {
                "partner_id": cls.client_company.id,
                "order_line": [
                    Command.create({"product_id": cls.native_product.id, "product_uom_qty": 10, "price_unit": 100.0})
                ],
            }
        )
        cls.order.action_confirm()
        cls.line = cls.order.order_line
        cls.native = cls.env["project.milestone"].create(
            {"name": "Half", "project_id": cls.project.id, "sale_line_id": cls.line.id, "quantity_percentage": 0.5}
        )

    def test_a_native_milestone_is_ticked_by_any_project_user_and_delivers_its_share(self):
        native = self.native.with_user(self.users["project_user"])
        self.assertFalse(native.is_billing_milestone)
        native.is_reached = True
        self.assertEqual(self.line.qty_delivered, 5.0)
        self.assertEqual(self.line.qty_to_invoice, 5.0)
        self.assertEqual(self.line.invoice_status, "to invoice")
        self.assertEqual(self.order._create_invoices().amount_untaxed, 500.0)
        native.is_reached = False
        self.assertEqual(self.line.qty_to_invoice, -5.0, "as in Odoo without this addon")

    def test_what_was_reached_and_invoiced_before_the_installation_is_not_billed_again(self):
        self.native.is_reached = True
        invoice = self.order._create_invoices()
        invoice.action_post()
        # what an installation does: the new columns are computed for what is there
        lines = invoice.line_ids
        for name in ("billing_milestone_id", "milestone_billing_key"):
            self.env.add_to_compute(lines._fields[name], lines)
        for name in ("qty_to_invoice", "qty_delivered", "untaxed_amount_to_invoice"):
            self.env.add_to_compute(self.line._fields[name], self.line)
        self.env.flush_all()
        self.assertFalse(lines.billing_milestone_id)
        self.assertEqual(self.line.qty_to_invoice, 0.0)
        self._run_queue()
        self.assertEqual(self.order.invoice_ids, invoice)
        with self.cr.savepoint():
            self.native.unlink()

    def test_orders_without_a_plan_are_changed_cancelled_and_deleted_as_before(self):
        self.line.write({"price_unit": 5.0, "discount": 10.0, "product_uom_qty": 3.0})
        self.order.order_line = [Command.create({"product_id": self.product_a.id})]
        self.assertFalse(self.order.milestone_contract_hash)
        self.assertEqual(self.order.order_line.mapped("extra_tax_data"), [False, False])
        self.order._action_cancel()
        self.order.unlink()

    def test_rounding_is_left_alone_without_a_plan(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        order = self.order.copy()
        order.action_confirm()
        self.assertFalse(order.order_line.extra_tax_data)

    def test_projects_without_billing_milestones_are_deleted_as_before(self):
        project = self.env["project.project"].create({"name": "Plain", "allow_milestones": True})
        self.env["project.milestone"].create({"name": "Plain", "project_id": project.id, "is_reached": True})
        copy = project.copy()
        self.assertEqual(len(copy.milestone_ids), 1)
        (project + copy).unlink()

    def test_the_settings_are_there_for_every_company(self):
        company = self.env["res.company"].create({"name": "New"})
        self.assertRecordValues(
            company,
            [
                {
                    "milestone_client_approval": True,
                    "milestone_internal_review": False,
                    "milestone_invoice_policy": "post",
                    "milestone_invoice_grouping": "milestone",
                    "milestone_review_days": 10,
                }
            ],
        )
        self.assertTrue(company._get_milestone_product())
