from lxml import html

from odoo.tests import HttpCase, tagged

from .portal_common import draw_signature
from .test_countersign import CountersignCommon


@tagged("post_install", "-at_install")
class TestPortalSigning(CountersignCommon, HttpCase):
    """The client signs on the page of the quotation, and finds the signed contract there."""

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)

    def _sign(self, order=None, **values):
        order = order or self.quotation
        return self.make_jsonrpc_request(
            f"/my/orders/{order.id}/accept?{order._get_revision_query()}",
            {
                "access_token": order._portal_ensure_token(),
                "name": "Approver",
                "signature": draw_signature(),
                **values,
            },
        )

    def _open(self, suffix="", token=None, order=None):
        order = order or self.quotation
        token = order._portal_ensure_token() if token is None else token
        response = self.url_open(f"/my/orders/{order.id}{suffix}?access_token={token}", allow_redirects=False)
        self.env.invalidate_all()
        return response

    def _make_document(self):
        with self._cron_mode() as env:
            env["sale.order"]._cron_make_signed_documents()
        self.env.invalidate_all()

    def test_the_client_signs_and_waits(self):
        answer = self._sign()
        self.assertTrue(answer["force_refresh"])
        self.env.invalidate_all()
        self.assertEqual(self.quotation.state, "sent")
        self.assertFalse(self.quotation.signature_recorded_by)
        self.assertTrue(self.quotation.activity_search(["milestone_billing.mail_activity_countersign"]))
        page = self._open().text
        self.assertIn("has signed as well", page)
        self.assertNotIn('data-bs-target="#modalaccept"', page)
        self._countersign()
        page = self._open().text
        self.assertNotIn("has signed as well", page)
        self.assertIn("Dora Director", page)
        self.assertIn(self.quotation.milestone_contract_hash, page)
        self.assertIn("verified", page)

    def test_without_the_policy_the_clients_signature_confirms(self):
        self.quotation.milestone_countersign = False
        self._sign()
        self.env.invalidate_all()
        self.assertEqual(self.quotation.state, "sale")
        self.assertTrue(self.quotation.signed_document_queued_on)
        self.assertFalse(self.quotation.signed_document_id, "no document is rendered in the request of the client")

    def test_nothing_is_signed_twice(self):
        self._sign()
        self.assertIn("error", self._sign(name="Somebody else"))
        self.env.invalidate_all()
        self.assertEqual(self.quotation.signed_by, "Approver")

    def test_a_wrong_token_signs_nothing(self):
        self.assertIn("error", self._sign(access_token="0" * 36))
        self.env.invalidate_all()
        self.assertFalse(self.quotation.signature)

    def test_the_signed_contract_opens_by_the_link_of_its_order(self):
        self._sign()
        self.env.invalidate_all()
        self._countersign()
        self.assertEqual(self._open("/signed_contract").status_code, 303, "there is none yet")
        self._make_document()
        response = self._open("/signed_contract")
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.content, self.quotation.signed_document_id.raw)
        self.assertIn("attachment", response.headers["Content-Disposition"])
        self.assertIn("signed_contract", self._open().text)
        for token in ("", "0" * 36):
            with self.subTest(token=token):
                response = self._open("/signed_contract", token=token)
                self.assertEqual(response.status_code, 303)
                self.assertTrue(response.headers["Location"].endswith("/my"))
        other = self._create_contract([10.0], confirm=False)
        response = self._open("/signed_contract", token=other._portal_ensure_token())
        self.assertTrue(response.headers["Location"].endswith("/my"))

    def test_the_page_says_when_the_order_is_not_what_was_signed(self):
        self._sign()
        self.env.invalidate_all()
        self._countersign()
        self._tamper("UPDATE sale_milestone SET contract_date = '2032-01-01' WHERE id = %s", [self.design.id])
        page = self._open().text
        self.assertIn("no longer matches what was signed", page)
        self.assertNotIn("verified", page)

    def test_the_page_names_the_change_orders_since_the_signatures(self):
        self._sign()
        self.env.invalidate_all()
        self._countersign()
        self.assertIn("this order is what was signed.", self._open().text)
        for number, words in ((1, "with 1 change order."), (2, "with 2 change orders.")):
            line = {"action": "change", "milestone_id": self.build.id, "amount": 100.0}
            request = self.env["sale.change.request"].create(
                {"order_id": self.quotation.id, "title": "More", "reason": "More", "line_ids": [(0, 0, line)]}
            )
            request.action_submit()
            request._approve(self._evidence(request))
            text = " ".join(html.fromstring(self._open().content).text_content().split())
            self.assertEqual(self.quotation.change_order_count, number)
            self.assertIn(f"verified, this order is what was signed, {words}", text)
