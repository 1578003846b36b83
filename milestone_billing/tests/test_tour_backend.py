from odoo.tests import HttpCase, new_test_user, tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestBackendTour(MilestoneCommon, HttpCase):
    """From the plan on a quotation to the invoice, with the hands of a salesperson."""

    def test_plan_to_invoice(self):
        self.company.milestone_invoice_policy = "manual"
        client = self.env["res.partner"].create({"name": "Tour Client", "email": "tour@client.example.com"})
        user = new_test_user(
            self.env,
            login="milestone_tour",
            groups="sales_team.group_sale_manager,project.group_project_user,account.group_account_invoice",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.start_tour(
            "/odoo/action-sale.action_quotations_with_onboarding/new",
            "milestone_plan_to_invoice",
            login=user.login,
            timeout=120,
        )
        order = self.env["sale.order"].search([("partner_id", "=", client.id)])
        self.assertEqual(order.state, "sale")
        self.assertEqual(order.amount_untaxed, 4000.0)
        design, build, launch = order.milestone_ids.sorted("sequence")
        self.assertEqual(design.accepted_approval_id.method, "on_behalf")
        self.assertEqual(design.accepted_approval_id.recorded_by, user)
        self.assertEqual(design.accepted_approval_id.proof_ids.name, "mail.txt")
        self.assertEqual(design.invoice_line_ids.move_id.amount_untaxed, 1000.0)
        self.assertEqual((build | launch).mapped("billing_state"), ["not_due", "not_due"])
        self.assertFalse(design._verify_evidence())

    def test_plan_wizard(self):
        """A plan from a template, changed, with goods under one milestone; and undone again."""
        service, goods = (
            self._create_product(name=name, type=kind, lst_price=price, taxes_id=[(6, 0, self.tax_15.ids)])
            for name, kind, price in (("Work", "service", 1000.0), ("Hardware", "consu", 500.0))
        )
        self.env["sale.milestone.template"].create(
            {
                "name": "Tour Template",
                "line_ids": [
                    (0, 0, {"name": name, "sequence": number, "percentage": percentage})
                    for number, (name, percentage) in enumerate((("Design", 25), ("Build", 40), ("Launch", 35)))
                ],
            }
        )
        order = self._create_contract([], confirm=False, lines=[{"product_id": service.id}, {"product_id": goods.id}])
        self.users["salesperson"].write({"login": "plan_tour", "password": "plan_tour"})
        self.start_tour(
            f"/odoo/action-sale.action_quotations_with_onboarding/{order.id}",
            "milestone_plan_wizard",
            login="plan_tour",
            timeout=120,
        )
        self.assertFalse(order.milestone_ids)
        self.assertEqual(order.order_line.mapped("price_unit"), [1000.0, 500.0])
