from urllib.parse import urlsplit

from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .change_portal_common import ChangePortalCommon


@tagged("post_install", "-at_install")
class TestChangePortalClient(ChangePortalCommon):
    """The client asks for a change: who may, with what, and what the team gets."""

    def _form_path(self, token=True):
        return (
            self.order.get_portal_url(suffix="/change_requests") if token else f"{self._order_path()}/change_requests"
        )

    def _order_path(self):
        return f"/my/orders/{self.order.id}"

    def _raise(self, path=None, files=(), **values):
        path = path or self._form_path()
        data = {
            "csrf_token": self._read_csrf_token(path),
            "name": "Carla Client",
            "title": "A darker design",
            "category": "scope",
            "urgency": "high",
            "reason": "Our <new> colours",
            "description": "Black\nand <i>blue</i>",
            **values,
        }
        return self.url_open(
            path,
            data=data,
            files=[("files", (name, content)) for name, content in files] or None,
            allow_redirects=False,
        )

    def _get_raised(self):
        self.env.invalidate_all()
        return self.order.sudo().change_request_ids - self.change

    def assertRefused(self, response, words, count=0):
        self.assertEqual(response.status_code, 200)
        self.assertIn(words, response.text)
        self.assertEqual(len(self._get_raised()), count)

    # -- what arrives ------------------------------------------------------------------------------------------

    def test_the_link_of_the_order_raises_a_request_in_the_name_of_the_customer(self):
        self.assertIn("order_request_change", self._open(self.order.get_portal_url()).text)
        before = self._get_mails()
        response = self._raise(milestone_id=str(self.milestone.id), files=[("plan.txt", b"all of it")])
        self.assertRedirected(response, self._order_path())
        request = self._get_raised()
        self.assertRecordValues(
            request,
            [
                {
                    "title": "A darker design",
                    "category": "scope",
                    "urgency": "high",
                    "reason": "Our <new> colours",
                    "state": "draft",
                    "is_client_request": True,
                    "requested_by_id": self.client_company.id,
                    "requested_by_name": "Carla Client",
                    "amount_delta": 0.0,
                }
            ],
        )
        self.assertEqual(request.description, "<p>Black<br>and &lt;i&gt;blue&lt;/i&gt;</p>")
        self.assertEqual(request.line_ids.milestone_id, self.milestone)
        self.assertEqual((request.attachment_ids.name, request.attachment_ids.raw), ("plan.txt", b"all of it"))
        self.assertEqual((request.attachment_ids.res_model, request.attachment_ids.res_id), (request._name, request.id))
        activity = request.activity_ids
        self.assertEqual(activity.user_id, self.users["salesperson"])
        self.assertIn("Estimate it", activity.summary)
        mail = self._get_mails() - before
        self.assertEqual(mail.recipient_ids, self.client_company)
        self.assertIn("Dear", mail.body_html)
        self.assertIn("Carla Client", mail.body_html)
        self.assertIn("Our &lt;new&gt; colours", mail.body_html)
        self.assertIn("A darker design", mail.body_html)
        self.assertIn(f"access_token={self.order.access_token}", mail.body_html, "who has no account follows the order")
        page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
        sidebar, thanks = page.index("o_portal_sidebar_content"), page.index('id="change_raised"')
        self.assertLess(thanks, sidebar, "narrow screens show what comes first")
        self.assertIn("Being Estimated", page)
        self.assertEqual(self.milestone.state, "submitted", "nothing is withdrawn by a wish")

    def test_a_login_raises_it_in_its_own_name(self):
        self._login(self.other_contact)
        page = self._open(self._form_path(token=False)).text
        self.assertNotIn('name="name"', page)
        self._raise(self._form_path(token=False), name="Somebody else")
        request = self._get_raised()
        self.assertEqual((request.requested_by_id, request.requested_by_name), (self.other_contact, False))
        mail = self._get_mails(self.other_contact)
        self.assertIn(f"/my/change_requests/{request.id}", mail.body_html)
        self.assertNotIn("token=", mail.body_html)
        salesperson = request.with_user(self.users["salesperson"]).sudo(False)
        self.assertNotIn("token=", salesperson._get_requester_url())
        page = self._open(f"/my/change_requests/{request.id}").text
        self.assertIn("Your request is being estimated", page)
        self.assertIn("A darker design", page)
        self.assertIn("Bystander", page)
        self.assertNotIn("change_request_impact", page)
        self.assertIn("A darker design", self._open("/my/change_requests?filterby=own").text)

    def test_estimates_stay_inside_until_they_are_presented(self):
        self._login(self.other_contact)
        self._raise(self._form_path(token=False), files=[("wish.txt", b"wish")])
        request = self._get_raised()
        request.write(
            {
                "effort_hours": 77.5,
                "attachment_ids": [(0, 0, {"name": "calculation.txt", "raw": b"secret"})],
                "line_ids": [(0, 0, {"action": "add", "new_name": "Dark mode", "amount": 4321.0})],
            }
        )
        secret = request.attachment_ids.filtered(lambda file: file.name == "calculation.txt")
        wish = request.attachment_ids - secret
        path = f"/my/change_requests/{request.id}"
        for _state in range(2):
            page = self._open(path).text
            for text in ("4,321", "Dark mode", "77.5", "calculation"):
                self.assertNotIn(text, page.split("change_request_info")[1].split("change_request_communication")[0])
            self.assertIn("wish.txt", page)
            self.assertIn(f'href="{path}"', self._open(f"{path}?report_type=pdf", 303).text)
            with mute_logger("odoo.http"):
                self._open(f"{path}/attachments/{secret.id}", 404)
            self._open(f"{path}/attachments/{wish.id}")
            if request.state == "draft":
                self.order.sudo().milestone_internal_review = True
                request.with_user(self.users["sale_manager"]).action_submit()
                self.assertEqual(request.state, "internal_review")
        request.with_user(self.users["reviewer"]).action_internal_approve()
        page = self._open(path).text
        for text in ("4,321", "Dark mode", "77.5", "calculation"):
            self.assertIn(text, page)

    def test_an_estimate_that_is_declined_inside_stays_inside(self):
        self._login(self.other_contact)
        self._raise(self._form_path(token=False))
        request = self._get_raised()
        request.line_ids = [(0, 0, {"action": "add", "new_name": "Dark mode", "amount": 4321.0})]
        self.order.sudo().milestone_internal_review = True
        request.with_user(self.users["sale_manager"]).action_submit()
        request.with_user(self.users["reviewer"]).action_internal_reject("Too cheap")
        request.action_reject("We do not do that.")
        page = self._open(f"/my/change_requests/{request.id}").text
        self.assertIn("Declined", page)
        self.assertNotIn("4,321", page)
        self.assertNotIn("Too cheap", page)

    # -- who -----------------------------------------------------------------------------------------------------

    def test_the_form_is_for_those_who_may_open_the_order(self):
        for path in (
            self._form_path(token=False),
            f"{self._form_path(token=False)}?access_token=x",
            f"/my/orders/0/change_requests?access_token={self.order.access_token}",
            f"/my/orders/{10**20}/change_requests?access_token={self.order.access_token}",
        ):
            self.assertRedirected(self._open(path, 303))
        self._login(self.stranger)
        self.assertRedirected(self._open(self._form_path(token=False), 303))

    def test_people_of_others_who_have_the_link_ask_for_nothing(self):
        self._login(self.stranger)
        self.assertIn("This is a preview", self._open(self._form_path()).text)
        self.assertRefused(self._raise(), "Only people of the customer")

    def test_employees_see_a_preview(self):
        user = self.users["salesperson"]
        user.sudo().password = "milestone-password"
        self.authenticate(user.login, "milestone-password")
        for path in (self._form_path(), self._form_path(token=False)):
            self.assertIn("This is a preview", self._open(path).text)
            self.assertRefused(self._raise(path), "This is a preview")

    @mute_logger("odoo.http")
    def test_forms_of_other_sites_raise_nothing(self):
        for token in ("", "x"):
            response = self._raise(csrf_token=token)
            self.assertEqual(response.status_code, 400)
        self._open(f"{self._form_path()}&title=x&reason=y&name=z&category=scope&urgency=high")
        self.assertFalse(self._get_raised())

    def test_quotations_change_without_a_request(self):
        quotation = self._create_contract([100.0], confirm=False)
        path = quotation.get_portal_url(suffix="/change_requests")
        self.assertRedirected(self._open(path, 303), f"/my/orders/{quotation.id}")
        self.assertNotIn("order_request_change", self._open(quotation.get_portal_url()).text)

    def test_nobody_raises_one_in_the_name_of_the_client_over_rpc(self):
        values = {"order_id": self.order.id, "title": "x", "reason": "x"}
        for name in ("is_client_request", "requested_by_id", "requested_by_name"):
            with self.assertRaises(AccessError):
                self.env["sale.change.request"].create({**values, name: self.approver.id})
        with self.assertRaises(AccessError):
            self.env["sale.change.request"].with_user(self.portal_users[self.approver]).create(values)

    # -- with what -------------------------------------------------------------------------------------------------

    def test_what_is_missing_or_wrong_is_said_in_words(self):
        for values, words in (
            ({"title": " "}, "Please say what should change"),
            ({"title": "x" * 151}, "below 150 characters"),
            ({"reason": ""}, "Please say why it should change"),
            ({"reason": "x" * 5001}, "below 5000 characters"),
            ({"description": "x" * 5001}, "below 5000 characters"),
            ({"name": ""}, "Please say your name"),
            ({"name": "x" * 201}, "below 200 characters"),
            ({"category": "everything"}, "Please choose what the change is about"),
            ({"urgency": ""}, "Please choose what the change is about"),
            ({"milestone_id": "7'; drop"}, "Please choose a milestone"),
            ({"milestone_id": str(self._create_contract([1.0]).milestone_ids.id)}, "Please choose a milestone"),
        ):
            with self.subTest(values=str(values)[:40]):
                self.assertRefused(self._raise(**values), words)
        page = self._raise(reason="", title="Kept <b>title</b>").text
        self.assertIn("Kept &lt;b&gt;title&lt;/b&gt;", page)

    def test_files_that_would_be_run_are_refused(self):
        for name, content in (
            ("plan.html", b"hello"),
            ("plan.svg", b"hello"),
            ("plan.SVG ", b"hello"),
            ("plan.html.pdf", b"hello"),
            ("setup.exe", b"hello"),
            ("plan.pdf", b"MZ\x90\x00"),
            ("plan.txt", b"\xef\xbb\xbf <SVG xmlns='x'>"),
            ("plan", b"<!DOCTYPE html><p>"),
            ("plan.png", b"<html><script>alert(1)</script>"),
            ("plan.txt", b"#!/bin/sh"),
        ):
            with self.subTest(name=name, content=content):
                self.assertRefused(self._raise(files=[(name, content)]), "cannot be sent")

    def test_files_have_a_size_and_a_number(self):
        self.assertRefused(self._raise(files=[("big.bin2", b"x" * (10 * 1024 * 1024 + 1))]), "too large")
        self.assertRefused(self._raise(files=[("empty.txt", b"")]), "is empty")
        self.assertRefused(self._raise(files=[(f"{number}.txt", b"x") for number in range(11)]), "At most 10 files")
        self._raise(files=[(f"{number}.txt", b"x") for number in range(10)])
        self.assertEqual(len(self._get_raised().attachment_ids), 10)

    def test_only_five_requests_wait_at_once(self):
        for _number in range(5):
            self._raise()
        self.assertRefused(self._raise(), "being estimated already", count=5)
        self._get_raised()[0].action_reject("No")
        self.assertTrue(urlsplit(self._raise().headers["Location"]).path.endswith(self._order_path()))
        self.assertEqual(len(self._get_raised()), 6)

    def test_extra_values_have_no_effect(self):
        self._raise(
            state="approved",
            amount_delta="1",
            order_id="1",
            requested_by_id=str(self.stranger.id),
            change_order_number="7",
            context="{}",
            line_ids="[(0, 0, {'action': 'add'})]",
        )
        request = self._get_raised()
        self.assertEqual((request.state, request.change_order_number, len(request.line_ids)), ("draft", 0, 0))
        self.assertEqual(request.requested_by_id, self.client_company)
