import re
from datetime import date, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from lxml import html

from odoo import Command, fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .portal_common import draw_signature
from .proposal_common import ProposalCommon


@tagged("post_install", "-at_install")
class TestPortalProposal(ProposalCommon, HttpCase):
    """The client's page of a quotation: revisions, what changed, negotiation, comments; and its guards."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal_users = {
            partner: cls.env["res.users"].create(
                {
                    "partner_id": partner.id,
                    "login": f"proposal_{partner.name.lower()}",
                    "password": f"proposal_{partner.name.lower()}",
                    "group_ids": [Command.set([cls.env.ref("base.group_portal").id])],
                    "company_id": cls.company.id,
                    "company_ids": [Command.set(cls.company.ids)],
                }
            )
            for partner in (cls.approver, cls.stranger)
        }
        cls.revision = cls._send()

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)

    # -- what a client does ----------------------------------------------------------------------------------

    def _login(self, user):
        self.authenticate(user.login, user.login)

    def _path(self, suffix="", token=None, **query):
        token = self.order._portal_ensure_token() if token is None else token
        query = {"access_token": token, **query} if token else query
        self.env.flush_all()
        return f"/my/orders/{self.order.id}{suffix}?{urlencode(query)}"

    def _open(self, path, status=200):
        response = self.url_open(path, allow_redirects=False)
        self.assertEqual(response.status_code, status, response.text[:300])
        return response

    def _read(self, path):
        return html.fromstring(self._open(path).content)

    def _get_call_url(self, page):
        """Return the address that the signature form of the page posts to."""
        props = page.xpath("//owl-component[@name='portal.signature_form']/@props")
        return re.search(r'"callUrl": "([^"]+)"', props[0])[1] if props else None

    def _sign(self, url):
        answer = self.make_jsonrpc_request(url, {"name": "Ada", "signature": draw_signature()})
        self.env.invalidate_all()
        return answer

    def _ask(self, text="Two weeks earlier, please.", path=None, csrf_token=None, **values):
        if csrf_token is None:
            csrf_token = re.search(r'csrf_token: "([^"]+)"', self._open(self._path()).text)[1]
        data = {"csrf_token": csrf_token, "text": text, **values}
        response = self.url_open(path or self._path("/modifications"), data=data, allow_redirects=False)
        self.env.invalidate_all()
        return response

    def assertAnswered(self, response, message):
        self.assertIn(response.status_code, (302, 303), response.text[:300])
        self.assertEqual(parse_qs(urlsplit(response.headers["Location"]).query).get("message"), [message])

    def assertGone(self, response):
        self.assertIn(response.status_code, (302, 303))
        self.assertEqual(urlsplit(response.headers["Location"]).path, "/my")

    def _accept_path(self, revision):
        shown = {"revision_hash": revision.snapshot_hash, "content_hash": self.order._hash_signed_content()}
        return self._path("/accept", **shown)

    def _revise(self):
        self.design.write({"amount_untaxed": 7777.0, "contract_date": date(2030, 2, 28)})
        self.env.flush_all()

    # -- signature --------------------------------------------------------------------------------------------

    def test_the_latest_revision_is_signed(self):
        url = self._get_call_url(self._read(self._path()))
        self.assertIn(self.revision.snapshot_hash, url)
        answer = self._sign(url)
        self.assertTrue(answer.get("force_refresh"), answer)
        self.assertEqual(self.order.state, "sale")
        self.assertEqual(self.order.agreed_revision_id, self.revision)

    def test_the_page_of_an_old_revision_names_the_newest(self):
        self.assertFalse(self._read(self._path("/revisions/1")).xpath("//*[@id='revision_outdated']"))
        self._revise()
        self.assertFalse(self._read(self._path("/revisions/1")).xpath("//*[@id='revision_outdated']"))
        self._send()
        [alert] = self._read(self._path("/revisions/1")).xpath("//*[@id='revision_outdated']")
        self.assertIn("revision 1 of 2", " ".join(alert.text_content().split()))
        for link, title in zip(alert.xpath(".//a/@href"), ("revision 2", "What changed"), strict=True):
            self.assertIn(title, self._read(link).text_content())
        self.assertFalse(self._read(self._path("/revisions/2")).xpath("//*[@id='revision_outdated']"))

    def test_a_page_that_is_being_revised_has_what_odoos_scripts_look_for(self):
        self._revise()
        page = self._read(self._path())
        self.assertTrue(page.xpath("//*[@id='proposal_being_revised']"))
        [table] = page.xpath("//div[contains(@class, 'o_portal_sale_sidebar')]//table[@id='sales_order_table']")
        self.assertFalse(table.text_content().strip(), "no line of what is being changed")

    def test_an_old_page_does_not_sign_a_newer_revision(self):
        url = self._get_call_url(self._read(self._path()))
        self._revise()
        self.assertIn("being revised", self._sign(url)["error"])
        newer = self._send()
        self.assertIn("newer version", self._sign(url)["error"])
        for given in ("", "0" * 64, self.revision.snapshot_hash, "ä"):
            answer = self._sign(self._path("/accept", **({"revision_hash": given} if given else {})))
            self.assertIn("newer version", answer["error"])
        self.assertEqual(self.order.state, "sent")
        self.assertFalse(self.order.signature)
        self._sign(self._accept_path(newer))
        self.assertEqual(self.order.state, "sale")

    def test_what_a_revision_leaves_open_is_signed_as_the_page_showed_it(self):
        section = {"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 900}
        option = {"product_id": self.product_a.id, "product_uom_qty": 0.0, "sequence": 901}
        self.order.order_line = [Command.create(section), Command.create(option)]
        option = self.order.order_line.filtered(lambda line: not (line.display_type or line.product_uom_qty))
        self.assertTrue(option._is_line_optional())
        revision = self._send()
        changes = {
            "quantity": lambda: option.write({"product_uom_qty": 100.0}),
            "tax": lambda: (
                self.order.order_line.tax_ids[:1].write({"amount": 40.0}),
                self.env.add_to_compute(self.order.order_line._fields["price_total"], self.order.order_line),
            ),
        }
        for name, change in changes.items():
            url = self._get_call_url(self._read(self._path()))
            change()
            self.env.flush_all()
            with self.subTest(change=name):
                self.assertTrue(self.order._is_latest_revision(revision.snapshot_hash))
                self.assertIn("newer version", self._sign(url)["error"])
                self.assertFalse(self.order.signature)
        self._sign(self._get_call_url(self._read(self._path())))
        self.assertEqual(self.order.state, "sale")

    def test_a_wrong_token_signs_nothing(self):
        for token in ("", "wrong"):
            answer = self._sign(self._path("/accept", token=token, revision_hash=self.revision.snapshot_hash))
            self.assertIn("Invalid order", answer["error"])
        self.assertEqual(self.order.state, "sent")

    def test_an_expired_quotation_is_not_signed(self):
        self.order.validity_date = fields.Date.today() - timedelta(days=1)
        answer = self._sign(self._accept_path(self.revision))
        self.assertTrue(answer["error"])
        self.assertEqual(self.order.state, "sent")

    def _spoil_plan(self):
        """What was sent says the same as before, and cannot be agreed on any more."""
        self.order.payment_term_id.sudo().write(
            {"early_discount": True, "early_pay_discount_computation": "mixed", "discount_percentage": 2.0}
        )
        self.assertTrue(self.order._get_plan_error())
        self.assertFalse(self.order._is_being_revised())

    @mute_logger("odoo.http")
    def test_a_plan_that_cannot_be_agreed_on_is_neither_signed_nor_paid(self):
        """The client reads words for clients; what salespeople have to mend stays theirs."""
        self.order.write({"payment_term_id": self.env.ref("account.account_payment_term_30days").id})
        revision = self._send()
        path = self._accept_path(revision)
        self._spoil_plan()
        answer = self._sign(path)
        self.assertIn(f"{self.order.name} cannot be accepted yet", answer["error"])
        self.assertNotIn("reduce the taxes", answer["error"])
        self.assertEqual(self.order.state, "sent")
        self.assertFalse(self.order.signature)
        shown = {"revision_hash": revision.snapshot_hash, "content_hash": self.order._hash_signed_content()}
        response = self.url_open(
            self._path("/transaction", **shown), json={"params": {"access_token": self.order.access_token}}
        )
        self.assertIn("cannot be accepted yet", response.json()["error"]["data"]["message"])
        self.assertFalse(self.order.transaction_ids)

    @mute_logger("odoo.http")
    def test_an_old_page_does_not_pay_a_newer_revision(self):
        self.order.write({"require_signature": False, "require_payment": True, "prepayment_percent": 1.0})
        self._send()
        self._revise()
        self._send()
        values = {
            "provider_id": 1,
            "payment_method_id": 1,
            "token_id": None,
            "amount": 1.0,
            "flow": "direct",
            "tokenization_requested": False,
            "landing_route": "/my",
        }
        for given in ({}, {"revision_hash": self.revision.snapshot_hash}):
            response = self.url_open(
                self._path("/transaction", **given),
                json={"params": {"access_token": self.order.access_token, **values}},
            )
            self.assertIn("newer version", response.json()["error"]["data"]["message"])
        self.assertFalse(self.order.transaction_ids)

    def test_orders_without_milestones_are_signed_as_in_odoo(self):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.client_company.id,
                "require_signature": True,
                "require_payment": False,
                "order_line": [Command.create({"product_id": self.product_a.id})],
            }
        )
        self._send(order, self.env.user)
        self.env.flush_all()
        page = self._read(order.get_portal_url())
        self.assertFalse(page.xpath("//*[@id='modalmodifications' or @id='proposal_revisions']"))
        self._sign(self._get_call_url(page))
        self.assertEqual(order.state, "sale")

    # -- while it is being revised ----------------------------------------------------------------------------

    def test_what_is_being_revised_shows_what_was_sent(self):
        self._revise()
        page = self._read(self._path())
        text = " ".join(page.text_content().split())
        self.assertIn("You will get revision 2 by e-mail", text)
        self.assertIn("1,000.00", text)
        self.assertNotIn("7,777.00", html.tostring(page).decode())
        self.assertNotIn("10,077", html.tostring(page).decode())
        self.assertIsNone(self._get_call_url(page))
        self.assertFalse(page.xpath("//*[@data-bs-target='#modalaccept']"))

    def test_the_pdf_is_the_one_that_was_sent(self):
        self._revise()
        with self._count_renderings() as rendered:
            response = self._open(self._path(report_type="pdf"))
        self.assertFalse(rendered.called)
        self.assertEqual(response.content, self.revision.document_id.raw)

    def test_the_client_changes_no_options_meanwhile(self):
        self.order.order_line = [
            Command.create({"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 900}),
            Command.create({"product_id": self.product_b.id, "product_uom_qty": 0.0, "sequence": 901}),
        ]
        option = self.order.order_line.filtered(lambda line: line.product_id == self.product_b)
        values = {"line_id": option.id, "input_quantity": 3, "access_token": self.order._portal_ensure_token()}
        self.assertTrue(self.order._is_being_revised())
        self.env.flush_all()
        self.make_jsonrpc_request(f"/my/orders/{self.order.id}/update_line_dict", values)
        self.env.invalidate_all()
        self.assertEqual(option.product_uom_qty, 0.0)
        self._send()
        self.make_jsonrpc_request(f"/my/orders/{self.order.id}/update_line_dict", values)
        self.env.invalidate_all()
        self.assertEqual(option.product_uom_qty, 3.0)
        self.assertTrue(self._get_call_url(self._read(self._path())), "and the client can sign with them")

    # -- revisions --------------------------------------------------------------------------------------------

    def test_an_old_link_says_that_there_is_a_newer_revision(self):
        self.assertFalse(self._read(self._path(revision=1)).xpath("//*[@id='proposal_outdated']"))
        self._revise()
        self._send()
        page = self._read(self._path(revision=1))
        banner = page.xpath("//*[@id='proposal_outdated']")[0]
        self.assertIn("revision 1 of 2", " ".join(banner.text_content().split()))
        changes = self._read(banner.xpath(".//a/@href")[0])
        self.assertIn("7,777.00", changes.text_content())
        self.assertIn("02/28/2030", changes.text_content())
        for revision in ("2", "9", "x", ""):
            self.assertFalse(self._read(self._path(revision=revision)).xpath("//*[@id='proposal_outdated']"))

    def test_the_link_of_the_mail_leads_to_the_page_with_its_revision(self):
        query = urlencode(
            {
                "model": "sale.order",
                "res_id": self.order.id,
                "access_token": self.order._portal_ensure_token(),
                "revision": 1,
            }
        )
        self.env.flush_all()
        location = urlsplit(self._open(f"/mail/view?{query}", 303).headers["Location"])
        self.assertEqual(location.path, f"/my/orders/{self.order.id}")
        self.assertEqual(parse_qs(location.query)["revision"], ["1"])

    def test_revisions_are_listed_and_open_with_their_pdf(self):
        self._revise()
        self._send()
        page = self._read(self._path())
        links = page.xpath("//*[@id='proposal_revisions']//a/@href")
        self.assertEqual(len([link for link in links if "/revisions/" in link]), 4)
        shown = self._read(self._path("/revisions/1")).text_content()
        self.assertIn("1,000.00", shown)
        self.assertNotIn("7,777.00", shown)
        response = self._open(self._path("/revisions/1", report_type="pdf"))
        self.assertEqual(response.content, self.revision.document_id.raw)
        self.assertEqual(response.headers["Cache-Control"], "no-store")

    def test_amounts_of_what_changed_stay_on_one_line(self):
        self._revise()
        self._send()
        cells = self._read(self._path("/changes", since=1)).xpath(
            "//table[contains(@class, 'o_proposal_difference')]//td"
        )
        amounts = [cell for cell in cells if cell.text_content().strip().endswith("7,777.00")]
        self.assertTrue(amounts)
        for cell in amounts:
            self.assertIn("text-nowrap", cell.get("class"), "narrow screens do not break a figure")
        self.assertFalse(
            [cell for cell in cells if len(cell.text_content()) > 40 and "text-nowrap" in cell.get("class")]
        )

    def test_pages_open_to_whom_the_quotation_opens_and_to_nobody_else(self):
        self._revise()
        self._send()
        other = self._create_contract([10.0], confirm=False)
        pages = [("/revisions/1", {}), ("/revisions/1", {"report_type": "pdf"}), ("/changes", {"since": 1})]
        pages.append((f"/milestones/{self.design.id}", {}))
        for suffix, query in pages:
            with self.subTest(page=suffix):
                self.authenticate(None, None)
                for token in (False, "wrong", self.order._portal_ensure_token()[:-1], other._portal_ensure_token()):
                    self.assertGone(self._open(self._path(suffix, token=token or "", **query), 303))
                self._login(self.portal_users[self.stranger])
                self.assertGone(self._open(self._path(suffix, token="", **query), 303))
                self._login(self.portal_users[self.approver])
                self._open(self._path(suffix, token="", **query))
        self.authenticate(None, None)
        self.assertGone(self._open(self._path("/revisions/9"), 303))
        self.assertGone(self._open(self._path(f"/milestones/{other.milestone_ids.id}"), 303))
        huge = 10**15
        self.assertGone(self._open(f"/my/orders/{huge}/changes", 303))

    def test_the_pdf_of_a_revision_is_no_attachment_for_everybody(self):
        document = self.revision.document_id
        self.assertEqual(self.url_open(f"/web/content/{document.id}").status_code, 404)

    def test_junk_in_the_comparison_is_no_error(self):
        for since, until in (("x", "y"), ("9", "1"), ("1", "1"), ("", "-1")):
            self._open(self._path("/changes", since=since, until=until))

    # -- negotiation ------------------------------------------------------------------------------------------

    def test_asking_for_modifications(self):
        page = self._read(self._path())
        self.assertTrue(page.xpath("//form[@id='modifications']//textarea[@required]"))
        self.assertAnswered(self._ask("Earlier <script>alert(1)</script>\nplease"), "modifications")
        self.assertTrue(self.order.milestone_negotiation)
        message = self.order.message_ids.filtered(lambda message: message.message_type == "comment")[0]
        self.assertEqual(message.author_id, self.order.partner_id)
        self.assertNotIn("<script", message.body)
        self.assertEqual(self.order.activity_ids.user_id, self.salesperson)
        page = self._open(self._path(message="modifications")).text
        self.assertIn("Your wishes have reached the team", page)

    def test_the_reader_of_a_personal_link_is_named(self):
        partner = self.other_contact
        self._ask(pid=partner.id, hash=self.order._sign_token(partner.id))
        comments = self.order.message_ids.filtered(lambda message: message.message_type == "comment")
        self.assertEqual(comments[0].author_id, partner)

    def test_nobody_asks_in_the_name_of_others(self):
        stranger = self.stranger
        for pid, given in ((stranger.id, "wrong"), (stranger.id, ""), ("x", "y"), ("9" * 12, "y"), (stranger.id, "ä")):
            self._ask("Please", pid=pid, hash=given)
            comments = self.order.message_ids.filtered(lambda message: message.message_type == "comment")
            self.assertEqual(comments[0].author_id, self.order.partner_id)

    def test_a_logged_in_contact_asks_in_its_own_name(self):
        self._login(self.portal_users[self.approver])
        self.assertAnswered(self._ask(), "modifications")
        comments = self.order.message_ids.filtered(lambda message: message.message_type == "comment")
        self.assertEqual(comments[0].author_id, self.approver)

    def test_asking_without_access_or_words_or_in_time_is_refused(self):
        csrf_token = re.search(r'csrf_token: "([^"]+)"', self._open(self._path()).text)[1]
        for token in ("", "wrong"):
            self.assertGone(self._ask(path=self._path("/modifications", token=token), csrf_token=csrf_token))
        for text in ("", "  \n", "\x00", "x" * 5001):
            self.assertAnswered(self._ask(text, csrf_token=csrf_token), "modifications_text")
        self.order.validity_date = fields.Date.today() - timedelta(days=1)
        self.assertAnswered(self._ask(csrf_token=csrf_token), "modifications_closed")
        self.assertFalse(self._read(self._path()).xpath("//*[@id='modalmodifications']"))
        self.order.validity_date = False
        self.env.flush_all()
        self.assertFalse(self.order.milestone_negotiation or self.order.activity_ids)
        self._sign(self._accept_path(self.revision))
        self.assertAnswered(self._ask(csrf_token=csrf_token), "modifications_closed")

    @mute_logger("odoo.http")
    def test_asking_takes_a_post_with_a_csrf_token(self):
        self.assertEqual(self._ask(csrf_token="wrong").status_code, 400)
        self.assertEqual(self.url_open(self._path("/modifications", text="Hello")).status_code, 405)
        self.assertFalse(self.order.milestone_negotiation)

    def test_a_preview_asks_for_nothing(self):
        self._login(self.salesperson)
        self.assertAnswered(self._ask(), "modifications_preview")
        self.assertFalse(self.order.milestone_negotiation)

    # -- comments on milestones -------------------------------------------------------------------------------

    def _get_discussion(self, page):
        return {
            name: page.xpath("//div[@id='discussion']")[0].get(f"data-{name}")
            for name in ("pid", "hash", "token", "res_id")
        }

    def _comment(self, milestone, body="Which screens?", **credentials):
        response = self.url_open(
            "/mail/message/post",
            json={
                "params": {
                    "thread_model": "sale.milestone",
                    "thread_id": milestone.id,
                    "post_data": {"body": body, "message_type": "comment", "subtype_xmlid": "mail.mt_comment"},
                    **credentials,
                }
            },
        )
        self.env.invalidate_all()
        return "error" not in response.json()

    def _fetch(self, milestone, token):
        response = self.url_open(
            "/mail/chatter_fetch",
            json={"params": {"thread_model": "sale.milestone", "thread_id": milestone.id, "token": token}},
        )
        return response.json().get("result", {}).get("messages", [])

    def test_a_milestone_of_the_quotation_is_discussed(self):
        links = self._read(self._path()).xpath("//a[@name='milestone_discussion']/@href")
        self.assertEqual(len(links), 2)
        page = self._read(links[0])
        self.assertIn("Contrast AA", page.text_content())
        given = self._get_discussion(page)
        posted = self._comment(
            self.design,
            "Which screens?<script>alert(1)</script>",
            pid=int(given["pid"]),
            hash=given["hash"],
            token=given["token"],
        )
        self.assertTrue(posted)
        message = self.design.message_ids[0]
        self.assertEqual(message.author_id, self.order.partner_id)
        self.assertIn(message.id, self._fetch(self.design, given["token"]))
        self.assertNotIn("<script", message.body)
        self.assertIn(self.salesperson.partner_id, self.design.message_partner_ids)
        self.assertIn("Comments (1)", " ".join(self._read(self._path()).text_content().split()))

    def test_the_answer_reaches_the_client_with_a_link_to_the_discussion(self):
        self.design.message_post(
            body="Which screens?", author_id=self.approver.id, message_type="comment", subtype_xmlid="mail.mt_comment"
        )
        self.design.with_user(self.salesperson).message_post(
            body="All of them.", message_type="comment", subtype_xmlid="mail.mt_comment"
        )
        mail = self.env["mail.mail"].sudo().search([("model", "=", "sale.milestone"), ("res_id", "=", self.design.id)])
        mail = mail.filtered(lambda mail: self.approver in mail.recipient_ids)
        links = re.findall(r'href="([^"]+/milestones/[^"]+)"', mail[:1].body_html or "")
        self.assertTrue(links, "the mail has a link")
        parts = urlsplit(links[0].replace("&amp;", "&"))
        self.env.flush_all()
        page = self._read(f"{parts.path}?{parts.query}")
        self.assertEqual(self._get_discussion(page)["pid"], str(self.approver.id))

    @mute_logger("odoo.http")
    def test_what_opens_one_discussion_opens_no_other(self):
        given = self._get_discussion(self._read(self._path(f"/milestones/{self.design.id}")))
        good = {"pid": int(given["pid"]), "hash": given["hash"]}
        other = self._create_contract([10.0], confirm=False).milestone_ids
        for milestone, credentials in (
            (self.build, good),
            (other, good),
            (self.design, {**good, "pid": self.stranger.id}),
            (self.design, {**good, "hash": "wrong"}),
            (self.design, {"pid": good["pid"]}),
            (self.design, {"token": self.order.access_token}),
            (self.design, {"token": self.order.access_token, **good, "hash": self.order.access_token}),
            (self.design, {}),
        ):
            self.assertFalse(self._comment(milestone, **credentials))
            self.assertFalse(self._fetch(milestone, credentials.get("token") or credentials.get("hash") or "x"))
        self.assertTrue(self._comment(self.design, **good))
        self.assertTrue(self._fetch(self.design, given["token"]))
        self.assertFalse(self._fetch(self.build, given["token"]))

    @mute_logger("odoo.http")
    def test_the_discussion_by_the_quotations_link_ends_with_the_confirmation(self):
        given = self._get_discussion(self._read(self._path(f"/milestones/{self.design.id}")))
        self.order.action_confirm()
        self.env.flush_all()
        self.assertFalse(self._comment(self.design, pid=int(given["pid"]), hash=given["hash"], token=given["token"]))
        response = self._open(self._path(f"/milestones/{self.design.id}"), 303)
        self.assertEqual(urlsplit(response.headers["Location"]).path, f"/my/milestones/{self.design.id}")
        self.assertFalse(self._read(self._path()).xpath("//a[@name='milestone_discussion']"))

    def test_a_preview_of_the_discussion_lets_nobody_write(self):
        self._login(self.salesperson)
        page = self._read(self._path(f"/milestones/{self.design.id}"))
        self.assertEqual(page.xpath("//div[@id='discussion']/@data-allow_composer"), ["0"])

    # -- what the page shows ----------------------------------------------------------------------------------

    def test_the_page_shows_terms_and_timeline(self):
        text = " ".join(self._read(self._path()).text_content().split())
        self.assertIn("Contract Terms 1. Review You have 10 days.", text)
        self.assertIn("Timeline From", text)
        self.assertIn("2. Build · 03/31/2030", text)
