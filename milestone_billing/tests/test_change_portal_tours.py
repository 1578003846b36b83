from odoo.tests import tagged

from .change_portal_common import ChangePortalCommon


@tagged("post_install", "-at_install")
class TestChangePortalTours(ChangePortalCommon):
    """A client without an account in a real browser, at a desk."""

    def test_approve_a_change_from_the_personal_link(self):
        self.start_tour(self._present(), "milestone_portal_change_approve")
        self.assertEqual(self.change.state, "approved")
        self.assertEqual(self.change.sudo().accepted_approval_id.signed_by, "Ada Approver")

    def test_decline_a_change_from_the_personal_link(self):
        self.start_tour(self._present(), "milestone_portal_change_decline")
        self.assertEqual(self.change.state, "rejected")
        self.assertEqual(self.change.sudo().approval_ids.comment, "Too expensive for us.")

    def test_ask_for_a_change_from_the_link_of_the_order(self):
        self.start_tour(self.order.get_portal_url(), "milestone_portal_change_raise")
        request = self.order.sudo().change_request_ids - self.change
        self.assertEqual((request.title, request.urgency), ("A darker design", "urgent"))
        self.assertEqual(request.requested_by_name, "Carla Client")


@tagged("post_install", "-at_install")
class TestChangePortalToursOnPhone(TestChangePortalTours):
    """The same on a phone."""

    browser_size = "375x667"
    touch_enabled = True
