from odoo.tests import TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """The demo data shows contracts at each point of their life, and all that is evidence in it verifies."""

    def setUp(self):
        super().setUp()
        if not self.env.ref("milestone_billing.order_portal", raise_if_not_found=False):
            self.skipTest("This database has no demo data.")

    def _get_contract(self, name):
        return self.env.ref(f"milestone_billing.{name}")

    def _get_contracts(self):
        """Return everything that was agreed in the demo data."""
        known = self.env["ir.model.data"].search([("module", "=", "milestone_billing"), ("model", "=", "sale.order")])
        orders = self.env["sale.order"].browse(known.mapped("res_id")).exists()
        return orders.filtered("milestone_contract_hash")

    def test_a_quotation_is_in_negotiation(self):
        order = self._get_contract("order_proposal")
        self.assertEqual(order.state, "sent")
        self.assertTrue(order.milestone_negotiation)
        first, second = order.revision_ids.sorted("number")
        self.assertTrue(second._get_changes(first))
        self.assertEqual(order._get_current_revision(), second)
        self.assertTrue(order.activity_search(["milestone_billing.mail_activity_modifications"]))

    def test_a_contract_is_signed_by_both_sides(self):
        order = self._get_contract("order_access")
        self.assertEqual(order.state, "sale")
        self.assertTrue(order.signature and order.countersignature)
        self.assertFalse(order.signature_recorded_by, "signed online")
        self.assertEqual(order.countersigned_by, self.env.ref("base.user_admin"))
        self.assertTrue(order.signed_document_id or order.signed_document_queued_on)
        self.assertEqual(order.agreed_revision_id, order.revision_ids)

    def test_a_contract_waits_for_the_countersignature(self):
        order = self._get_contract("order_alarm")
        self.assertEqual(order.state, "sent")
        self.assertTrue(order.milestone_to_countersign)
        asked = order.activity_search(["milestone_billing.mail_activity_countersign"]).user_id
        self.assertIn(self.env.ref("base.user_admin"), asked)
        action = order.with_user(asked[0]).action_countersign()
        self.assertEqual(action["res_model"], "sale.order.countersign")

    def test_change_requests_are_open(self):
        presented = self._get_contract("order_portal").change_request_ids
        self.assertEqual(presented.state, "submitted")
        self.assertEqual(presented.approval_id.kind, "client")
        self.assertGreater(presented.amount_delta, 0.0)
        raised = self._get_contract("order_eur").change_request_ids
        self.assertEqual(raised.state, "draft")
        self.assertTrue(raised.is_client_request)
        self.assertEqual(raised.amount_delta, 0.0, "nobody has priced it yet")

    def test_a_change_request_is_applied(self):
        order = self._get_contract("order_progress")
        request = order.change_request_ids
        self.assertEqual((request.state, request.change_order_number), ("approved", 1))
        self.assertTrue(request.amount_delta)
        self.assertEqual(order.milestone_changes_amount, request.amount_delta)
        self.assertEqual(order.milestone_original_amount + request.amount_delta, order.milestone_revised_amount)

    def test_all_contracts_and_all_evidence_verify(self):
        contracts = self._get_contracts()
        approvals = contracts.milestone_ids.approval_ids | contracts.change_request_ids.approval_ids
        self.assertGreaterEqual(len(contracts), 9)
        self.assertGreaterEqual(len(approvals), 10)
        for order in contracts:
            with self.subTest(contract=order.client_order_ref):
                self.assertEqual(order.action_verify_contract()["params"]["type"], "success")
        for subject in (*contracts.milestone_ids, *contracts.change_request_ids):
            with self.subTest(subject=subject.display_name):
                self.assertFalse(subject._verify_evidence())
