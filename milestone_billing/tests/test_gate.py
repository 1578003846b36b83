from odoo.tests import tagged

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestGate(MilestoneCommon):
    def test_smoke(self):
        order = self._create_contract([1000.0, 2000.0])
        first, second = order.milestone_ids
        self.assertEqual(order.amount_untaxed, 3000)
        invoices = self._bill(first)
        self.assertEqual(invoices.amount_untaxed, 1000)
        self.assertEqual(invoices.state, "posted")
        self._bill(second)
        self.assertBilledAsAgreed(order)
