from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestProject(MilestoneCommon):
    """The working side: each billing milestone has a project milestone, which says nothing about money."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.milestone_create_project = True

    def _create_project_contract(self, amounts=(1000.0, 2000.0), **values):
        return self._create_contract(list(amounts), milestone_create_project=True, **values)

    # -- linking -------------------------------------------------------------------------------------

    def test_the_confirmation_creates_a_project_with_milestones_and_tasks(self):
        order = self._create_project_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 10.0,
                    "contract_date": "2031-05-01",
                    "deliverable_ids": [
                        Command.create({"name": "Sketch", "acceptance_criteria": "Legible\n<b>bold</b>"}),
                        Command.create({"name": "Model"}),
                    ],
                },
                20.0,
            ]
        )
        first, second = order.milestone_ids
        project = order.milestone_ids.project_id
        self.assertEqual(len(project), 1)
        self.assertEqual(project, order.project_ids)
        self.assertTrue(project.allow_milestones)
        self.assertEqual(project.partner_id, self.client_company)
        self.assertEqual(project.milestone_ids, order.milestone_ids.project_milestone_id)
        self.assertRecordValues(
            first.project_milestone_id,
            [{"name": "Design", "is_reached": False, "sale_line_id": False, "quantity_percentage": 0.0}],
        )
        self.assertEqual(str(first.project_milestone_id.deadline), "2031-05-01")
        tasks = first.deliverable_ids.task_id
        self.assertEqual(tasks.mapped("name"), ["Sketch", "Model"])
        self.assertEqual(tasks.milestone_id, first.project_milestone_id)
        self.assertEqual(tasks.sale_line_id, first.order_line_ids)
        self.assertNotIn("<b>", tasks[0].description)
        self.assertTrue(second.project_milestone_id)
        self.assertFalse(second.deliverable_ids.task_id, "the later milestones are a plan")

    def test_an_order_without_a_project_works_too(self):
        order = self._create_contract([10.0], milestone_create_project=False)
        self.assertFalse(order.milestone_ids.project_id)
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_the_project_chosen_on_the_order_is_used(self):
        project = self.env["project.project"].create({"name": "Ours", "company_id": self.company.id})
        order = self._create_project_contract(project_id=project.id)
        self.assertEqual(order.milestone_ids.project_id, project)
        self.assertTrue(project.allow_milestones)

    def test_the_project_made_by_a_product_of_the_order_is_used(self):
        tracked = self._create_product(
            name="With project", type="service", service_tracking="project_only", taxes_id=False
        )
        order = self._create_gated_order([[{"product_id": tracked.id}], [{"product_id": self.product_a.id}]])
        self.assertEqual(len(order.project_ids), 1)
        self.assertEqual(order.milestone_ids.project_id, order.project_ids)

    def _create_goods(self):
        return self._create_product(name="Server", type="consu", invoice_policy="order", taxes_id=False)

    def test_goods_before_the_first_service_are_not_what_the_project_works_for(self):
        products = [self._create_goods(), self.milestone_product]
        groups = [[{"product_id": product.id, "price_unit": 100.0}] for product in products]
        for template in (self.env["project.project"], self._create_template()):
            with self.subTest(template=template.name):
                order = self._create_gated_order(
                    groups, milestone_create_project=True, milestone_project_template_id=template.id
                )
                project = order.milestone_ids.project_id
                self.assertEqual(project, order.project_ids)
                self.assertEqual(project.sale_line_id, order.milestone_ids[1].order_line_ids)
                self._check_tasks_work_for(project, project.sale_line_id)
                self.assertFalse(order.milestone_ids[0].deliverable_ids.task_id.sale_line_id)

    def test_expenses_are_not_what_the_project_works_for(self):
        travel = self._create_product(name="Travel", type="service", expense_policy="sales_price", taxes_id=False)
        order = self._create_gated_order(
            [
                [{"product_id": travel.id, "is_expense": True, "price_unit": 10.0}],
                [{"product_id": self.milestone_product.id, "price_unit": 10.0}],
            ],
            milestone_create_project=True,
        )
        self.assertEqual(order.project_id.sale_line_id, order.milestone_ids[1].order_line_ids)

    def test_the_project_of_goods_only_belongs_to_the_order(self):
        line = {"product_id": self._create_goods().id, "price_unit": 100.0}
        for template in (self.env["project.project"], self._create_template()):
            with self.subTest(template=template.name):
                order = self._create_gated_order(
                    [[line], [line]], milestone_create_project=True, milestone_project_template_id=template.id
                )
                project = order.milestone_ids.project_id
                self.assertFalse(project.sale_line_id)
                self.assertEqual(project, order.project_id)
                self.assertEqual(project, order.project_ids)
                self.assertEqual((project.reinvoiced_sale_order_id, project.partner_id), (order, self.client_company))
                self._check_tasks_work_for(project, self.env["sale.order.line"])
                self.assertTrue(order.milestone_ids[0].deliverable_ids.task_id)
                self.assertEqual(order.tasks_ids, project.task_ids)
                self._bill(order.milestone_ids)
                self.assertBilledAsAgreed(order)
                self.assertEqual(self._get_revenue(order), {"invoiced": 200.0, "to_invoice": 0.0})

    def _create_template(self):
        return self.env["project.project"].create(
            {"name": "Roll-out", "is_template": True, "task_ids": [Command.create({"name": "Risk log"})]}
        )

    def _check_tasks_work_for(self, project, line):
        """What came from the template, and what somebody adds later, works for a service, or for nothing."""
        added = self.env["project.task"].create({"name": "Added", "project_id": project.id})
        tasks = added | project.task_ids.filtered(lambda task: task.name == "Risk log")
        self.assertEqual(tasks.sale_line_id, line)
        self.assertEqual(tasks.partner_id, self.client_company)

    def test_native_milestone_products_under_a_billing_milestone_get_no_second_milestone(self):
        native = self._create_product(
            name="Native", type="service", service_policy="delivered_milestones", service_tracking="project_only"
        )
        order = self._create_gated_order([[{"product_id": native.id, "price_unit": 50.0}]])
        self.assertEqual(len(order.milestone_ids.project_id.milestone_ids), 1)
        self._bill(order.milestone_ids)
        self.assertBilledAsAgreed(order)

    def test_hours_that_cannot_be_divided_are_planned_all_the_same(self):
        product = self._create_product(
            name="Development",
            type="service",
            list_price=90.0,
            uom_id=self.env.ref("uom.product_uom_hour").id,
            service_type="timesheet",
            service_tracking="task_in_project",
        )
        for percentages, hours in (([100 / 3] * 3, [2.67, 2.67, 2.67]), ([30.0, 30.0, 40.0], [2.4, 2.4, 3.2])):
            order = self._create_contract(
                [{}, {}, {}], confirm=False, lines=[{"product_id": product.id, "product_uom_qty": 8.0}]
            )
            order._split_into_milestones(percentages=percentages, milestones=order.milestone_ids)
            order.action_confirm()
            tasks = order.tasks_ids.filtered("sale_line_id").filtered("allocated_hours").sorted("id")
            self.assertEqual([round(task.allocated_hours, 2) for task in tasks], hours)
            self.assertAlmostEqual(sum(tasks.mapped("allocated_hours")), 8.0)
            for task in tasks:
                self.assertIn("Development", task.name)
                self.assertTrue("%" in task.description or task.sale_line_id.product_uom_qty > 1)

    def test_names_and_dates_of_the_plan_reach_the_project(self):
        order = self._create_project_contract()
        milestone = order.milestone_ids[0]
        self._change_agreed(milestone, {"name": "Renamed", "contract_date": "2032-01-01"})
        native = milestone.project_milestone_id
        self.assertEqual((native.name, str(native.deadline)), ("Renamed", "2032-01-01"))

    def test_a_confirmation_after_a_cancellation_links_nothing_twice(self):
        order = self._create_project_contract()
        natives, tasks = order.milestone_ids.project_milestone_id, order.milestone_ids.deliverable_ids.task_id
        order._action_cancel()
        order.action_draft()
        order.action_confirm()
        self.assertEqual(order.milestone_ids.project_milestone_id, natives)
        self.assertEqual(order.milestone_ids.deliverable_ids.task_id, tasks)
        self.assertEqual(len(order.project_ids), 1)

    def test_a_finished_task_is_evidence_of_work(self):
        order = self._create_project_contract([10.0])
        milestone = order.milestone_ids
        milestone.action_start()
        with self.assertRefused("finished task"):
            milestone.action_submit()
        milestone.deliverable_ids.task_id.state = "1_done"
        milestone.action_submit()
        self.assertEqual(milestone.state, "submitted")

    def test_a_project_user_of_the_team_starts_and_submits(self):
        order = self._create_project_contract([10.0])
        milestone = order.milestone_ids.with_user(self.users["project_user"])
        milestone.action_start()
        milestone.deliverable_ids.url = "https://example.com"
        milestone.action_submit()
        self.assertEqual(order.milestone_ids.state, "submitted")

    # -- the tick --------------------------------------------------------------------------------------

    def test_the_native_milestone_is_reached_by_the_approval_and_by_nothing_else(self):
        order = self._create_project_contract()
        milestone = order.milestone_ids[0]
        native = milestone.project_milestone_id
        self.assertTrue(native.is_billing_milestone)
        self.assertFalse(native.can_be_marked_as_done)
        for role in ("project_user", "project_manager"):
            with self.subTest(role=role):
                record = native.with_user(self.users[role])
                with self.assertRefused("reached when it is approved"):
                    record.is_reached = True
                with self.assertRefused("reached when it is approved"):
                    record.toggle_is_reached(True)
                with self.assertRefused("reached when it is approved"):
                    record.sudo().write({"is_reached": True})
        result = self.env["project.milestone"].load([".id", "is_reached"], [[str(native.id), "1"]])
        self.assertFalse(result["ids"])
        self.assertFalse(native.is_reached)
        self.assertEqual(milestone.order_line_ids.qty_delivered, 0.0)
        self._approve(milestone)
        self.assertTrue(native.is_reached)
        with self.assertRefused("reached when it is approved"):
            native.is_reached = False
        milestone.action_revert_approval("back")
        self.assertFalse(native.is_reached)

    def test_a_native_milestone_is_not_tied_to_a_billing_milestone_by_hand(self):
        order = self._create_project_contract()
        milestone = order.milestone_ids[0]
        project = milestone.project_id
        loose = self.env["project.milestone"].create({"name": "Loose", "project_id": project.id})
        with self.assertRaises(UserError):
            loose.billing_milestone_ids = milestone
        with self.assertRaises(UserError):
            milestone.project_milestone_id.billing_milestone_ids = False
        with self.assertRaises(UserError):
            self.env["project.milestone"].create(
                {"name": "Sly", "project_id": project.id, "billing_milestone_ids": [Command.link(milestone.id)]}
            )

    def test_the_line_of_a_billing_milestone_is_not_billed_by_a_native_milestone_as_well(self):
        native_product = self._create_product(name="Native", type="service", service_policy="delivered_milestones")
        order = self._create_gated_order(
            [[{"product_id": native_product.id, "price_unit": 100.0}]], milestone_create_project=True
        )
        line = order.milestone_ids.order_line_ids
        loose = self.env["project.milestone"].create(
            {"name": "Loose", "project_id": order.milestone_ids.project_id.id, "sale_line_id": line.id}
        )
        loose.write({"quantity_percentage": 1.0, "is_reached": True})
        self.assertEqual(line.qty_delivered, 0.0)
        self.assertEqual(line.qty_to_invoice, 0.0)

    # -- deletion and copies ---------------------------------------------------------------------------

    def test_billing_milestones_keep_their_project_milestones(self):
        order = self._create_project_contract()
        native = order.milestone_ids[0].project_milestone_id
        with self.assertRefused("agreed with a client"):
            native.unlink()
        order._action_cancel()
        native.unlink()
        self.assertFalse(order.milestone_ids[0].project_milestone_id)

    def test_a_project_with_evidence_is_kept(self):
        order = self._create_project_contract()
        project = order.milestone_ids.project_id
        self._submit(order.milestone_ids[0])
        with self.assertRefused("Archive the project instead"):
            project.unlink()
        project.active = False
        self.assertEqual(order.milestone_ids.project_id, project)
        order.milestone_ids[0].with_context(active_test=False)._approve(self._evidence(order.milestone_ids[0]))
        self._run_queue()
        self.assertEqual(order.milestone_ids[0].billing_state, "invoiced")

    def test_a_project_of_a_running_contract_is_kept(self):
        order = self._create_project_contract()
        project = order.milestone_ids.project_id
        with self.assertRefused("Archive the project instead"):
            project.unlink()
        order._action_cancel()
        project.unlink()
        self.assertFalse(order.milestone_ids.project_milestone_id)

    def test_a_copied_project_has_plain_milestones(self):
        order = self._create_project_contract()
        self._approve(order.milestone_ids[0])
        copy = order.milestone_ids.project_id.copy()
        self.assertEqual(len(copy.milestone_ids), 2)
        self.assertFalse(any(copy.milestone_ids.mapped("is_billing_milestone")))
        self.assertFalse(any(copy.milestone_ids.mapped("is_reached")))
        copy.milestone_ids[0].is_reached = True

    def test_cancelling_the_order_lets_its_project_milestones_be(self):
        order = self._create_project_contract()
        order._action_cancel()
        self.assertTrue(order.milestone_ids.project_milestone_id)

    def test_the_panel_and_the_profitability_open(self):
        order = self._create_project_contract()
        self._bill(order.milestone_ids[0])
        project = order.milestone_ids.project_id.with_user(self.users["project_manager"])
        panel = project.get_panel_data()
        self.assertEqual(len(panel["milestones"]["data"]), 2)
        self.assertEqual(self._get_revenue(order), {"invoiced": 1000.0, "to_invoice": 0.0})
        self._approve(order.milestone_ids[1])
        self.assertEqual(self._get_revenue(order), {"invoiced": 1000.0, "to_invoice": 2000.0})
        self._run_queue()
        self.assertEqual(self._get_revenue(order), {"invoiced": 3000.0, "to_invoice": 0.0})

    def _get_revenue(self, order):
        return order.milestone_ids.project_id._get_profitability_items(False)["revenues"]["total"]
