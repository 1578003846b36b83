from unittest.mock import patch

from odoo.tests import tagged

from .portal_common import PortalCommon


@tagged("post_install", "-at_install")
class TestPortalTours(PortalCommon):
    """A client without an account in a real browser, at a desk."""

    def test_review_from_the_personal_link(self):
        self.start_tour(self._link(self.recipient), "milestone_portal_review")
        self.assertEqual(self.milestone.state, "approved")
        approval = self.milestone.sudo().accepted_approval_id
        self.assertEqual((approval.decided_by, approval.signed_by), (self.approver, "Ada Approver"))
        self.assertTrue(approval.signature)
        self.assertTrue(self.recipient.viewed_on)

    def test_request_for_changes_from_the_personal_link(self):
        self.start_tour(self._link(self.recipient), "milestone_portal_changes")
        self.assertEqual(self.milestone.state, "changes_requested")
        self.assertEqual(self.milestone.sudo().approval_ids.comment, "Please use the new logo.")

    def test_the_invoice_appears_by_itself(self):
        self.env["ir.config_parameter"].sudo().set_param("account_payment.enable_portal_payment", "True")
        self._approve(self.milestone)
        self._run_queue()
        waiting = self.registry["sale.milestone"]._is_waiting_for_invoice
        calls = []

        def wait_twice(milestone):
            """The page and the first question come before the queue."""
            calls.append(milestone)
            return len(calls) <= 2 or waiting(milestone)

        invoices = self.registry["sale.milestone"]._get_portal_invoices

        def hide_at_first(milestone):
            return invoices(milestone) if len(calls) > 2 else milestone.env["account.move"]

        with (
            patch.object(self.registry["sale.milestone"], "_is_waiting_for_invoice", wait_twice),
            patch.object(self.registry["sale.milestone"], "_get_portal_invoices", hide_at_first),
        ):
            self.start_tour(self._link(self.recipient), "milestone_portal_invoice")


@tagged("post_install", "-at_install")
class TestPortalToursOnPhone(TestPortalTours):
    """The same on a phone."""

    browser_size = "375x667"
    touch_enabled = True
