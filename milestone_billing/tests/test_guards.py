from odoo import SUPERUSER_ID
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestGuards(MilestoneCommon):
    """What is agreed, reviewed or billed is not changed by one side."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 2000.0], lines=[{"product_id": cls.product_a.id}])
        cls.first, cls.second = cls.order.milestone_ids
        cls.line = cls.first.order_line_ids
        cls.free = cls.order.order_line.filtered(lambda line: not line.billing_milestone_id)

    # -- the agreement -------------------------------------------------------------------------------

    def test_what_an_agreed_line_is_worth_cannot_change(self):
        other_uom = self.env.ref("uom.product_uom_dozen")
        changes = {
            "price_unit": 1.0,
            "technical_price_unit": 5.0,
            "product_uom_qty": 2.0,
            "discount": 50.0,
            "tax_ids": [Command.clear()],
            "product_id": self.product_b.id,
            "product_uom_id": other_uom.id,
            "billing_milestone_id": self.second.id,
            "order_id": self.order.copy().id,
            "extra_tax_data": {"computation_key": "x"},
            "qty_delivered": 7.0,
            "qty_invoiced": 1.0,
            "price_subtotal": 5.0,
            "price_total": 5.0,
            "is_downpayment": True,
        }
        for name, value in changes.items():
            with self.subTest(field=name), self.assertRefused("agreed with the client"):
                self.line.write({name: value})
        with self.assertRefused("agreed with the client"):
            self.line.billing_milestone_id = False
        self.line.write({"price_unit": self.line.price_unit, "tax_ids": [Command.set(self.line.tax_ids.ids)]})

    def test_the_amount_of_an_agreed_milestone_cannot_change(self):
        with self.assertRefused("agreed with the client"):
            self.first.amount_untaxed = 5.0
        with self.assertRefused("agreed with the client"):
            self.first.product_id = self.product_b

    def test_agreed_lines_and_milestones_are_not_removed(self):
        with self.assertRaises(UserError):
            self.line.unlink()
        with self.assertRaises(UserError):
            self.order.order_line.filtered(lambda line: line.display_type and line.billing_milestone_id)[:1].unlink()
        with self.assertRaises(UserError):
            self.first.unlink()
        self.assertTrue(self.line.exists() and self.first.exists())

    def test_no_line_joins_an_agreed_milestone(self):
        with self.assertRefused("agreed with the client"):
            self.free.billing_milestone_id = self.first
        with self.assertRefused("agreed with the client"):
            self.env["sale.order.line"].create(
                {"order_id": self.order.id, "product_id": self.product_a.id, "billing_milestone_id": self.first.id}
            )

    def test_free_lines_of_a_contract_stay_as_free_as_in_odoo(self):
        self.free.write({"price_unit": 77.0, "product_uom_qty": 3.0, "discount": 10.0})
        self.order.order_line = [Command.create({"product_id": self.product_b.id})]
        self.assertEqual(self.first.amount_untaxed, 1000.0)

    def test_the_parties_and_the_currency_of_a_contract_cannot_change(self):
        pricelist = self.env["product.pricelist"].create({"name": "Other", "currency_id": self.env.ref("base.EUR").id})
        other_company = self.env["res.company"].create({"name": "Other"})
        for name, value in {
            "partner_id": self.stranger.id,
            "pricelist_id": pricelist.id,
            "company_id": other_company.id,
            "currency_id": self.env.ref("base.EUR").id,
        }.items():
            with self.subTest(field=name), self.assertRefused("agreed with the client"):
                self.order.write({name: value})

    def test_a_salesperson_does_not_change_who_approves_a_confirmed_contract(self):
        order = self.order.with_user(self.users["salesperson"])
        for name, value in {
            "milestone_approver_ids": [Command.set(self.other_contact.ids)],
            "milestone_internal_review": True,
            "milestone_invoice_policy": "manual",
        }.items():
            with self.subTest(field=name), self.assertRaises(AccessError):
                order.write({name: value})
        self.order.with_user(self.users["sale_manager"]).milestone_approver_ids = self.other_contact

    def test_somebody_always_approves(self):
        with self.assertRaises(UserError):
            self.order.milestone_client_approval = False

    def test_approvers_are_contacts_of_the_client(self):
        with self.assertRaises(UserError):
            self.order.milestone_approver_ids = self.stranger

    def test_a_locked_contract_is_delivered_and_billed_as_any(self):
        self.order.action_lock()
        self._bill(self.first)
        self.assertEqual(self.first.billing_state, "invoiced")

    # -- the review ----------------------------------------------------------------------------------

    def test_what_is_under_review_or_approved_does_not_change(self):
        self._submit(self.first)
        for message in ("under review", "is approved"):
            with self.subTest(state=self.first.state):
                for name, value in {"name": "New", "description": "<p>More</p>", "contract_date": "2031-01-01"}.items():
                    with self.assertRefused(message):
                        self.first.write({name: value})
                with self.assertRefused(message):
                    self.first.deliverable_ids.name = "Other"
                with self.assertRefused(message):
                    self.first.deliverable_ids.attachment_ids = self._create_attachment()
                with self.assertRefused(message):
                    self.first.deliverable_ids = [Command.create({"name": "More"})]
                with self.assertRefused(message):
                    self.second.deliverable_ids.milestone_id = self.first
                with self.assertRaises(UserError):
                    self.first.deliverable_ids.unlink()
            if self.first.state == "submitted":
                self.first._approve(self._evidence(self.first))

    def test_reviewed_milestones_and_their_orders_are_kept(self):
        self._submit(self.first)
        self.first.action_withdraw()
        self.order._action_cancel()
        with self.assertRefused("agreed with the client"):
            self.first.unlink()
        with self.assertRefused("evidence"):
            self.order.unlink()

    def test_invoiced_orders_are_kept(self):
        order = self._create_contract([100.0])
        invoice = self._bill(order.milestone_ids)
        invoice.button_draft()
        invoice.button_cancel()
        with self.assertRaises(UserError):
            order.unlink()

    def test_a_quotation_with_a_plan_can_be_deleted(self):
        order = self._create_contract([100.0], confirm=False)
        milestones = order.milestone_ids
        order.unlink()
        self.assertFalse(milestones.exists())

    # -- deliverables --------------------------------------------------------------------------------

    def test_a_link_to_the_work_is_a_web_address(self):
        deliverable = self.first.deliverable_ids
        for url in (
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//example.com",
            "example.com",
            "http://",
            "https://[",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "ftp://example.com",
        ):
            with self.subTest(url=url), self.assertRefused("must be a web address"):
                deliverable.url = url
        deliverable.url = "https://example.com/work?id=1#top"
        self.assertTrue(deliverable.has_evidence)

    def test_nobody_shows_a_file_that_they_cannot_read_themselves(self):
        private = self.env["ir.attachment"].create({"name": "mine", "raw": b"mine"})  # loose: its creator's only
        for role in ("salesperson", "sale_manager"):
            deliverable = self.first.deliverable_ids.with_user(self.users[role])
            with self.subTest(role=role), self.assertRaises(AccessError):
                deliverable.attachment_ids = private
        self.assertFalse(self.first.deliverable_ids.attachment_ids)

    def test_deliverables_move_within_their_order_only(self):
        other = self._create_contract([1.0])
        with self.assertRefused("milestones of one order"):
            self.first.deliverable_ids.milestone_id = other.milestone_ids
        added = self.first.deliverable_ids.create({"milestone_id": self.first.id, "name": "Detail"})
        added.milestone_id = self.second
        self.assertEqual(len(self.second.deliverable_ids), 2)
        with self.assertRefused("change request"):
            self.first.deliverable_ids.milestone_id = self.second

    # -- protected fields ----------------------------------------------------------------------------

    def test_nobody_learns_of_a_milestone_by_pointing_at_it(self):
        user = self._create_role_user("other_salesperson", "sales_team.group_sale_salesman")
        self.first._write_protected({"name": "Vault"})
        own = self._create_contract([100.0], user_id=user.id)
        quotation = self._create_contract([100.0], confirm=False, user_id=user.id, lines=[{"name": "Work"}])
        requirement = self.env["sale.requirement"].create({"order_id": quotation.id, "statement": "Fast"})
        request = self.env["sale.change.request"].create(
            {
                "order_id": own.id,
                "title": "More",
                "reason": "Needed",
                "line_ids": [Command.create({"milestone_id": own.milestone_ids.id, "amount": 1.0})],
            }
        )
        stranger = self.env["res.partner"].create(
            {"name": "Vault", "company_id": self.env["res.company"].create({"name": "Other"}).id}
        )
        planned, deliverable = quotation.milestone_ids, self.first.deliverable_ids
        foreign = self.env["sale.requirement"].create(
            {"order_id": self._create_contract([100.0], confirm=False).id, "statement": "Vault"}
        )
        for records, values in (
            (request.line_ids, {"milestone_id": self.first.id}),
            (request.line_ids, {"target_id": self.first.id}),
            (request.line_ids, {"after_id": self.first.id}),
            (request.line_ids, {"new_approver_ids": [Command.link(stranger.id)]}),
            (request.line_ids.browse(), {"request_id": request.id, "milestone_id": self.first.id}),
            (quotation, {"milestone_retention_milestone_id": self.first.id}),
            (quotation, {"milestone_approver_ids": [Command.link(stranger.id)]}),
            (quotation.order_line, {"billing_milestone_id": self.first.id}),
            (
                quotation.order_line.browse(),
                {"name": "New", "order_id": quotation.id, "billing_milestone_id": self.first.id},
            ),
            (planned, {"predecessor_ids": [Command.link(self.first.id)]}),
            (planned, {"approver_ids": [Command.link(stranger.id)]}),
            (
                planned.browse(),
                {"name": "New", "order_id": quotation.id, "predecessor_ids": [Command.link(self.first.id)]},
            ),
            (planned.browse(), {"name": "New", "order_id": quotation.id, "approver_ids": [Command.link(stranger.id)]}),
            (planned.deliverable_ids, {"milestone_id": self.first.id}),
            (planned.deliverable_ids, {"requirement_ids": [Command.link(foreign.id)]}),
            (planned.deliverable_ids.browse(), {"name": "New", "milestone_id": self.first.id}),
            (
                planned.deliverable_ids.browse(),
                {"name": "New", "milestone_id": planned.id, "requirement_ids": [Command.link(foreign.id)]},
            ),
            (requirement, {"deliverable_ids": [Command.link(deliverable.id)]}),
            (
                requirement.browse(),
                {"order_id": quotation.id, "statement": "Fast", "deliverable_ids": [Command.link(deliverable.id)]},
            ),
        ):
            with self.subTest(model=records._name, values=values):
                self.env.invalidate_all()
                pointing = records.with_user(user)
                with self.assertRaises(AccessError) as caught:
                    pointing.write(values) if records else pointing.create(values)
                self.assertNotIn("Vault", str(caught.exception))

    def test_protected_fields_are_refused_to_everybody(self):
        values = {"state": "approved", "billing_state": "paid", "order_state": "sale"}
        for record in (self.first, self.first.deliverable_ids):
            for name in sorted(record._protected_fields):
                with self.subTest(model=record._name, field=name):
                    for user in (self.env.user, self.env["res.users"].browse(SUPERUSER_ID)):
                        with self.assertRaises(AccessError):
                            record.with_user(user).write({name: values.get(name, record[name])})
                    with self.assertRaises(AccessError):
                        record.sudo().create({"name": "Sly", "order_id": self.order.id, name: values.get(name, False)})

    def test_evidence_is_written_by_reviews_only(self):
        self._approve(self.first)
        approval = self.first.approval_ids
        for record in (approval, approval.recipient_ids):
            record = record.with_user(SUPERUSER_ID)
            with self.subTest(model=record._name):
                with self.assertRaises(AccessError):
                    record.write({"create_date": "2020-01-01"})
                with self.assertRaises(AccessError):
                    record.unlink()
                with self.assertRaises(AccessError):
                    record.create({})
                with self.assertRaises(AccessError):
                    record.copy()

    def test_defaults_in_the_context_of_a_call_have_no_effect(self):
        context = {
            "default_state": "approved",
            "default_billing_round": 9,
            "default_billing_state": "paid",
            "default_on_hold": True,
            "default_approved_by_id": self.stranger.id,
            "default_invoice_queued_on": "2020-01-01 00:00:00",
            "default_accepted_approval_id": 1,
            "default_milestone_contract_hash": "0" * 64,
            "default_company_id": self.company.id,
            "default_partner_id": self.client_company.id,
            "default_order_state": "sale",
            "default_project_id": 1,
            "default_decision": "approved",
            "default_kind": "client",
        }
        orders = self.env["sale.order"].with_context(**context)
        order = orders.create(
            {
                "partner_id": self.client_company.id,
                "state": "draft",
                "milestone_ids": [Command.create({"name": "Sly", "amount_untaxed": 1.0})],
            }
        )
        self.env["sale.milestone"].with_context(**context).create({"name": "Slier", "order_id": order.id})
        self.assertFalse(order.milestone_contract_hash)
        for milestone in order.milestone_ids:
            self.assertRecordValues(
                milestone,
                [
                    {
                        "state": "draft",
                        "billing_round": 1,
                        "billing_state": "not_due",
                        "on_hold": False,
                        "approved_by_id": False,
                        "invoice_queued_on": False,
                        "accepted_approval_id": False,
                        "order_state": "draft",
                        "project_id": False,
                    }
                ],
            )
        milestone = self.first.with_context(**context)
        milestone.deliverable_ids.url = "https://example.com"
        milestone.action_start()
        milestone.action_submit()
        self.assertEqual(milestone.approval_id.decision, "pending")
        self.assertEqual(milestone.state, "submitted")

    def test_defaults_in_the_context_do_not_tie_invoice_lines_to_milestones(self):
        context = {"default_billing_milestone_id": self.first.id, "default_milestone_billing_key": "1.1"}
        invoice = (
            self.env["account.move"]
            .with_context(**context)
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.client_company.id,
                    "invoice_line_ids": [Command.create({"name": "Sly", "price_unit": 1.0})],
                }
            )
        )
        self.assertFalse(invoice.line_ids.billing_milestone_id)
        self.assertFalse([key for key in invoice.line_ids.mapped("milestone_billing_key") if key])

    # -- invoices by hand ------------------------------------------------------------------------------

    def _create_linked_invoice(self, order_line, **values):
        return self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client_company.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "By hand",
                            "price_unit": 1000.0,
                            "sale_line_ids": [Command.link(order_line.id)],
                            **values,
                        }
                    )
                ],
            }
        )

    def test_no_invoice_by_hand_bills_a_milestone_that_is_not_approved(self):
        with self.assertRefused("not approved"):
            self._create_linked_invoice(self.line)
        invoice = self._create_linked_invoice(self.free)
        with self.assertRefused("not approved"):
            invoice.invoice_line_ids.sale_line_ids = self.line
        with self.assertRefused("agreed with the client"):
            self.line.invoice_lines = invoice.invoice_line_ids

    # -- copies ------------------------------------------------------------------------------------------

    def test_a_copied_order_carries_the_plan_and_never_the_approvals(self):
        self._bill(self.first)
        self._submit(self.second)
        copy = self.order.copy()
        self.assertEqual(copy.milestone_ids.mapped("name"), ["Milestone 1", "Milestone 2"])
        self.assertEqual(copy.milestone_ids.mapped("amount_untaxed"), [1000.0, 2000.0])
        self.assertEqual(copy.amount_total, self.order.amount_total)
        self.assertEqual(set(copy.milestone_ids.mapped("state")), {"draft"})
        self.assertEqual(set(copy.milestone_ids.mapped("billing_state")), {"not_due"})
        self.assertFalse(copy.milestone_ids.approval_ids)
        self.assertFalse(copy.milestone_contract_hash)
        self.assertFalse(any(copy.milestone_ids.deliverable_ids.mapped("has_evidence")))
        self.assertEqual(len(copy.order_line), len(self.order.order_line))
        self.assertEqual(copy.milestone_ids.deliverable_ids.mapped("name"), ["Deliverable 1", "Deliverable 2"])
        copy.action_confirm()
        self._bill(copy.milestone_ids)
        self.assertEqual(set(copy.milestone_ids.mapped("billing_state")), {"invoiced"})

    def test_a_copy_of_a_rearranged_plan_keeps_amounts_and_links_with_their_milestones(self):
        order = self._create_contract([100.0, 200.0, 300.0], confirm=False)
        first, second, third = order.milestone_ids
        third.predecessor_ids = second
        first.sequence = 99
        self.env.invalidate_all()
        copy = order.copy()
        self.env.invalidate_all()
        self.assertEqual(
            [
                (milestone.name, milestone.amount_untaxed, milestone.predecessor_ids.mapped("name"))
                for milestone in copy.milestone_ids
            ],
            [("Milestone 2", 200.0, []), ("Milestone 3", 300.0, ["Milestone 2"]), ("Milestone 1", 100.0, [])],
        )

    def test_a_milestone_is_not_copied_into_an_agreed_plan(self):
        with self.assertRefused("agreed with the client"):
            self.first.copy()

    def test_a_milestone_copied_on_a_quotation_is_a_new_one(self):
        order = self._create_contract([100.0], confirm=False)
        copy = order.milestone_ids.copy()
        self.assertRecordValues(copy, [{"state": "draft", "order_id": order.id, "amount_untaxed": 0.0}])

    # -- cancellation ----------------------------------------------------------------------------------

    def test_cancelling_the_order_ends_open_milestones_and_their_reviews(self):
        self._submit(self.first)
        approval = self.first.approval_id
        self.order._action_cancel()
        self.assertEqual(self.order.milestone_ids.mapped("state"), ["cancelled", "cancelled"])
        self.assertEqual(approval.decision, "withdrawn")
        self.assertTrue(all(approval.recipient_ids.mapped("revoked")))
        self.assertFalse(self.first._verify_evidence())

    def test_an_order_with_approved_and_unbilled_milestones_is_not_cancelled(self):
        self._approve(self.first)
        with self.assertRefused("approved by the client and not invoiced"):
            self.order._action_cancel()
        self.order.milestone_invoice_policy = "draft"
        self._run_queue()
        self.assertEqual(self.first.billing_state, "draft")
        with self.assertRefused("approved by the client and not invoiced"):
            self.order._action_cancel()
        self.first.invoice_line_ids.move_id.action_post()
        self.order._action_cancel()
        self.assertEqual(self.order.milestone_ids.mapped("state"), ["approved", "cancelled"])
        self.assertEqual(self.first.billing_state, "invoiced")

    def test_a_cancelled_contract_can_be_planned_and_agreed_on_anew(self):
        self.order._action_cancel()
        self.order.action_draft()
        self.assertEqual(set(self.order.milestone_ids.mapped("state")), {"draft"})
        self.first.amount_untaxed = 1111.0
        self.order.action_confirm()
        self._bill(self.order.milestone_ids)
        self.assertEqual(self._invoices(self.first).amount_untaxed, 1111.0)

    def test_what_was_approved_and_billed_stays_when_a_cancelled_contract_is_revived(self):
        self._bill(self.first)
        self.order._action_cancel()
        self.order.action_draft()
        with self.assertRaises(UserError):
            self.line.price_unit = 5.0
        with self.assertRaises(UserError):
            self.line.billing_milestone_id = False
        with self.assertRaises(UserError):
            self.line.unlink()
        self.order.action_confirm()
        self.assertEqual(self.first.state, "approved")
        self.assertEqual(self.first.billing_state, "invoiced")
        self.assertFalse(self.first._verify_evidence())
        self.assertFalse(self.second._verify_evidence())
