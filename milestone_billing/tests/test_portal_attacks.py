import json

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import JsonRpcException, tagged
from odoo.tools import mute_logger

from .portal_common import PortalCommon, draw_signature

INTERNAL_ROLES = ("salesperson", "sale_manager", "reviewer", "accountant")


@tagged("post_install", "-at_install")
class TestPortalAttacks(PortalCommon):
    """What must not work: other people's tokens, previews, scanners, forms of other sites, junk, scripts."""

    def _get_tokens(self):
        return [recipient._get_token() for recipient in self.milestone.sudo().approval_ids.recipient_ids]

    # -- other people's tokens -----------------------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_no_route_takes_a_wrong_link(self):
        token = self.recipient._get_token()
        self._submit(self.other_milestone)
        file = self.milestone.deliverable_ids.attachment_ids
        csrf_token = self._read_csrf_token(self._link(self.recipient))
        snapshot = self.milestone.approval_id.snapshot_hash
        other = self.other_milestone
        for query in (
            {},
            {"recipient": self.recipient.id},
            {"recipient": self.recipient.id, "token": token[:-1]},
            {"recipient": self.second_recipient.id, "token": token},
            {"recipient": self._get_recipient(other, self.approver).id, "token": token},
        ):
            with self.subTest(query=query):
                answer = self.make_jsonrpc_request(
                    self._path("/approve", **query, snapshot=snapshot), {"name": "Eve", "signature": draw_signature()}
                )
                self.assertIn("not valid", answer["error"])
                form = {"csrf_token": csrf_token, "reason": "No", "snapshot": snapshot, **query}
                for suffix in ("/changes", "/link"):
                    response = self.url_open(self._path(suffix), data=form, allow_redirects=False)
                    self.assertRedirected(response)
                self.assertRedirected(self._open(self._path(f"/attachments/{file.id}", **query), 303))
                self.assertEqual(self.make_jsonrpc_request(self._path("/invoices"), query), {"waiting": False})
        right = {"recipient": self.recipient.id, "token": token}
        answer = self.make_jsonrpc_request(
            self._path("/approve", other, **right, snapshot=other.approval_id.snapshot_hash),
            {"name": "Eve", "signature": draw_signature()},
        )
        self.assertIn("not valid", answer["error"])
        self.assertUndecided()
        self.assertUndecided(other)
        self.assertFalse(self.recipient.link_requested_on)

    def test_a_link_of_another_milestone_of_the_same_person_is_no_key(self):
        self._submit(self.other_milestone)
        link = self._link(self._get_recipient(self.other_milestone, self.approver))
        foreign = link.replace(f"/{self.other_milestone.id}?", f"/{self.milestone.id}?")
        self.assertRedirected(self._open(foreign, 303))

    @mute_logger("odoo.http")
    def test_odd_types_in_json_are_wrong_links(self):
        for recipient in (None, [], {}, True, "x", self.recipient.id):
            for token in (None, [], {"a": 1}, 5, True, "é"):
                answer = self.make_jsonrpc_request(self._path("/invoices"), {"recipient": recipient, "token": token})
                self.assertEqual(answer, {"waiting": False})

    @mute_logger("odoo.http")
    def test_the_discussion_is_closed_to_everybody_else(self):
        thread = {"thread_model": "sale.milestone", "thread_id": self.milestone.id}
        token, body = self.recipient._get_token(), {"post_data": {"body": "Hello"}}
        self.second_recipient.action_revoke()
        revoked = self.second_recipient._get_token()
        for credentials in (
            {},
            {"token": ""},
            {"token": "x"},
            {"token": "é"},
            {"token": ["x"]},
            {"token": token[:-1], "hash": token[:-1], "pid": self.approver.id},
            {"hash": token[:-1], "pid": self.approver.id},
            {"token": revoked, "hash": revoked, "pid": self.second_approver.id},
            {"token": self.milestone.sudo().access_token},
        ):
            with self.subTest(credentials=credentials), self.assertRaises(JsonRpcException):
                self.make_jsonrpc_request("/mail/message/post", {**thread, **credentials, **body})
            with self.subTest(credentials=credentials), self.assertRaises(JsonRpcException):
                self.make_jsonrpc_request("/mail/chatter_fetch", {**thread, **credentials, "token": "x"})
        self.assertFalse(self.milestone.sudo().message_ids.filtered(lambda message: "Hello" in (message.body or "")))

    @mute_logger("odoo.http")
    def test_nobody_posts_in_the_name_of_somebody_else(self):
        token = self.recipient._get_token()
        answer = self.make_jsonrpc_request(
            "/mail/message/post",
            {
                "thread_model": "sale.milestone",
                "thread_id": self.milestone.id,
                "token": token,
                "hash": token,
                "pid": self.second_approver.id,
                "post_data": {"body": "It was me", "author_id": self.second_approver.id},
            },
        )
        message = self.env["mail.message"].sudo().browse(answer["message_id"])
        self.assertNotEqual(message.author_id, self.second_approver)

    # -- employees -----------------------------------------------------------------------------------------

    def test_employees_preview_and_decide_nothing(self):
        snapshot = self.milestone.approval_id.snapshot_hash
        self.env.ref("base.user_admin").company_ids |= self.company
        logins = [self.users[role].login for role in INTERNAL_ROLES]
        for user in self.env["res.users"].search([("login", "in", logins)]):
            user.sudo().password = "milestone-password"
        for login in logins:
            self.authenticate(login, "milestone-password")
            for page in (self._path(), self._link(self.recipient)):
                with self.subTest(login=login, page=page):
                    text = self._open(page).text
                    self.assertNotIn("modal_milestone_approve", text)
                    path, _mark, query = page.partition("?")
                    answer = self.make_jsonrpc_request(
                        f"{path}/approve?{query}&snapshot={snapshot}", {"name": "Eve", "signature": draw_signature()}
                    )
                    self.assertIn("This is a preview", answer["error"])
                    csrf_token = self._read_csrf_token("/my/account")
                    self._post(page, "/changes", {"reason": "x", "snapshot": snapshot, "csrf_token": csrf_token})
        self.assertUndecided()
        self.assertFalse(self.recipient.viewed_on)

    def test_an_employee_who_is_a_contact_of_the_client_decides_nothing(self):
        user = self.users["salesperson"]
        user.partner_id.sudo().parent_id = self.client_company
        self.milestone.action_withdraw()
        self.order.sudo().milestone_approver_ids = user.partner_id
        self.milestone.action_submit()
        user.sudo().password = "milestone-password"
        self.authenticate(user.login, "milestone-password")
        recipient = self._get_recipient(self.milestone, user.partner_id)
        for page in (self._path(), self._link(recipient)):
            self.assertNotIn("modal_milestone_approve", self._open(page).text)
        answer = self.make_jsonrpc_request(
            self._link(recipient, "/approve", snapshot=self.milestone.approval_id.snapshot_hash),
            {"name": "Eve", "signature": draw_signature()},
        )
        self.assertIn("This is a preview", answer["error"])
        self.assertUndecided()

    def test_employees_do_not_find_the_links_of_mails(self):
        """Neither in messages, nor in notifications, nor by previewing the mail template."""
        template = self.env.ref("milestone_billing.mail_template_milestone_submitted")
        self.milestone.with_user(self.users["salesperson"]).message_post(
            body="Hello", subtype_xmlid="mail.mt_comment", message_type="comment"
        )
        for role in INTERNAL_ROLES:
            env = self.env(user=self.users[role], su=False)
            bodies = [message.body or "" for message in env["mail.message"].search([])]
            self.assertTrue(bodies)
            bodies.append(self.recipient.with_env(env)._get_access_url())
            if role in ("salesperson", "sale_manager"):
                bodies.append(self._preview(template, env))
            for token in self._get_tokens():
                self.assertFalse([body for body in bodies if token in body], role)
            with self.assertRaises(AccessError):
                env["mail.mail"].search([])

    def _preview(self, template, env):
        preview = env["mail.template.preview"].create(
            {"mail_template_id": template.id, "resource_ref": f"{self.recipient._name},{self.recipient.id}"}
        )
        self.assertIn("Design", preview.body_html)
        return str(preview.body_html)

    def test_tokens_are_out_of_reach_of_rpc(self):
        users = [self.portal_users[self.approver], *(self.users[role] for role in INTERNAL_ROLES)]
        for user in [*users, self.env.ref("base.user_admin")]:
            milestone = self.milestone.with_user(user)
            with self.assertRaises(AccessError):
                milestone.read(["access_token"])
            with self.assertRaises(AccessError):
                milestone.search_read([("access_token", "!=", False)], ["name"])
            self.assertNotIn("access_token", milestone.fields_get())
            with self.assertRaises(AccessError):
                milestone.write({"access_token": "known"})
            self.assertNotIn("token", milestone.sudo(False).get_portal_url())
        self._login(self.approver)
        for model in ("sale.approval", "sale.approval.recipient", "sale.milestone.deliverable"):
            with mute_logger("odoo.http", "odoo.addons.base.models.ir_model"), self.assertRaises(JsonRpcException):
                params = {"model": model, "method": "search_read", "args": [[]], "kwargs": {}}
                self.make_jsonrpc_request(f"/web/dataset/call_kw/{model}/search_read", params)

    def test_what_went_wrong_inside_is_for_employees(self):
        internal = [(self.milestone, name) for name in ("invoice_error", "on_hold", "hold_reason")]
        internal += [(self.order, name) for name in ("signed_document_error", "advance_error", "milestone_hold_note")]
        portal, employee = self.portal_users[self.approver], self.users["salesperson"]
        for record, name in internal:
            with self.subTest(field=name):
                self.assertTrue(record.with_user(portal).read(["name"]))
                with self.assertRaises(AccessError):
                    record.with_user(portal).read([name])
                with self.assertRaises(AccessError):
                    record.with_user(portal).search([(name, "!=", False)])
                self.assertIn(name, record.with_user(employee).read([name])[0])

    def test_sharing_a_milestone_hands_out_no_credentials(self):
        wizard = (
            self.env["portal.share"]
            .sudo()
            .with_context(active_model="sale.milestone", active_id=self.milestone.id)
            .create({"partner_ids": [Command.set(self.other_contact.ids)]})
        )
        self.assertIn("/mail/view", wizard.share_link)
        before = self.env["mail.message"].sudo().search([])
        wizard.action_send_mail()
        messages = self.env["mail.message"].sudo().search([]) - before
        for text in (wizard.share_link, *messages.mapped("body")):
            self.assertNotIn("token", text)
            self.assertNotIn("hash=", text)
        mails = self.env["mail.mail"].sudo().search([("mail_message_id", "in", messages.ids)])
        for mail in mails:
            self.assertNotIn("access_token", mail.body_html)
            self.assertNotIn("hash=", mail.body_html)
            self.assertFalse([token for token in self._get_tokens() if token in mail.body_html])

    def test_a_notification_brings_no_credentials_to_those_who_are_not_asked(self):
        others = self.client_company | self.other_contact | self.stranger
        self.milestone.sudo().message_subscribe(others.ids)
        before = self.env["mail.mail"].sudo().search([])
        self.milestone.sudo().message_post(body="Hello", subtype_xmlid="mail.mt_comment", message_type="comment")
        mails = self.env["mail.mail"].sudo().search([]) - before
        mails = mails.filtered(lambda mail: mail.recipient_ids & others)
        self.assertEqual(mails.recipient_ids & others, others)
        for mail in mails:
            self.assertNotIn("hash=", mail.body_html)
            self.assertNotIn("token=", mail.body_html)

    def test_the_mail_view_route_leads_to_the_login(self):
        path = f"/mail/view?model=sale.milestone&res_id={self.milestone.id}"
        for extra in ("", f"&access_token={self.milestone.sudo().access_token}", "&access_token="):
            response = self.url_open(path + extra, allow_redirects=False)
            self.assertIn("/web/login", response.headers["Location"])
        self._login(self.approver)
        self.assertEqual(
            self.url_open(path, allow_redirects=False).headers["Location"].replace(self.base_url(), ""), self._path()
        )

    def test_refusals_tell_nothing_of_what_somebody_may_not_read(self):
        """Whatever is behind an id, and whatever would be refused of it: the answer is that of Odoo."""
        self.company.milestone_create_project = True
        order = self._create_contract([{"name": "Vault", "amount_untaxed": 100.0}], milestone_invoice_policy="post")
        milestone = order.milestone_ids
        quotation = self._create_contract([100.0], confirm=False)
        quotation.action_quotation_sent()
        revision = {"res_model": "sale.order.revision", "res_id": quotation.revision_ids.id}
        file = self._create_attachment("vault.txt", b"known")
        proposal = self.env["ir.attachment"].sudo().create({"name": "vault.pdf", **revision})
        milestone.deliverable_ids.attachment_ids = file
        native = milestone.project_milestone_id
        invoice = self._bill(milestone)
        writes = [
            (order, {"partner_invoice_id": self.stranger.id}),
            (order, {"state": "draft"}),
            (order, {"name": "x"}),
            (order, {"partner_id": self.stranger.id}),
            (order, {"milestone_cap_amount": 1.0}),
            (order, {"milestone_retention_percentage": 50.0}),
            (order, {"milestone_advance_percentage": 50.0}),
            (order, {"signature": False}),
            (order.order_line[-1], {"price_unit": 1.0}),
            (order.order_line[-1], {"name": "x"}),
            (milestone, {"name": "x"}),
            (milestone, {"description": "x"}),
            (milestone, {"order_id": self.order.id}),
            (milestone.deliverable_ids, {"name": "x"}),
            (file, {"name": "x"}),
            (file, {"name": file.name}),
            (file, {"raw": b"known"}),
            (file, {"raw": b"guessed"}),
            (proposal, {"name": "x"}),
            (native, {"is_reached": False}),
            (native, {"is_reached": True}),
            (invoice, {"ref": "x"}),
            (invoice.line_ids[0], {"billing_milestone_id": False}),
        ]
        calls = [(records, "write", (vals,)) for records, vals in writes]
        calls += [(records, "unlink", ()) for records in dict.fromkeys(records for records, _vals in writes)]
        calls += [
            (invoice, name, ())
            for name in ("action_switch_move_type", "action_view_billing_milestones", "button_draft", "button_cancel")
        ]
        for user in (self.portal_users[self.stranger], self.users["employee"]):
            for records, name, args in calls:
                with self.subTest(user=user.login, model=records._name, method=name, args=args):
                    self.env.invalidate_all()
                    with self.assertRaises(AccessError) as caught:
                        getattr(records.with_user(user), name)(*args)
                    for secret in ("ault", order.name, invoice.name, self.client_company.name):
                        self.assertNotIn(secret, str(caught.exception))

    # -- scanners and other sites --------------------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_scanners_decide_nothing(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        for suffix in ("/approve", "/changes", "/link", "/invoices"):
            path = self._link(self.recipient, suffix, snapshot=snapshot, reason="x", name="x", signature="x")
            self.assertIn(self.url_open(path, allow_redirects=False).status_code, (404, 405))
            self.assertIn(self.opener.head(f"{self.base_url()}{path}").status_code, (404, 405))
            # a scanner that replays the address as a form
            self.assertIn(self.url_open(path, data={"name": "x"}, allow_redirects=False).status_code, (400, 404, 415))
        self.assertIn(self.url_open(link, data={"name": "x"}, allow_redirects=False).status_code, (200, 400))
        self.assertUndecided()
        self.assertFalse(self.recipient.link_requested_on)

    @mute_logger("odoo.http")
    def test_forms_of_other_sites_decide_nothing(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "x"}):
            for suffix in ("/changes", "/link"):
                response = self._post(link, suffix, {"reason": "x", "snapshot": snapshot, **token})
                self.assertEqual(response.status_code, 400)
        approve = self._link(self.recipient, "/approve", snapshot=snapshot)
        body = json.dumps({"params": {"name": "Eve", "signature": draw_signature()}})
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            response = self.url_open(approve, data=body, headers={"Content-Type": content_type})
            self.assertGreaterEqual(response.status_code, 400)
        self.assertUndecided()

    def test_extra_parameters_have_no_effect(self):
        answer = self._sign(
            self._link(self.recipient),
            partner=self.stranger.id,
            method="on_behalf",
            consent="I approve everything",
            ip_address="192.0.2.1",
            decided_by=self.stranger.id,
            snapshot_hash="x",
            context={"default_method": "system", "default_consent": "x", "lang": "fr_FR"},
        )
        self.assertNotIn("error", answer)
        approval = self.milestone.sudo().accepted_approval_id
        self.assertEqual((approval.method, approval.decided_by), ("link", self.approver))
        self.assertEqual(approval.ip_address, "127.0.0.1")
        self.assertTrue(approval.consent.startswith("I approve milestone Design (round 1)"))

    def test_consent_is_never_taken_from_the_client(self):
        self._sign(self._link(self.recipient), consent="I approve nothing")
        self.assertNotIn("nothing", self.milestone.sudo().accepted_approval_id.consent)

    # -- scripts ----------------------------------------------------------------------------------------------

    def test_texts_are_escaped_everywhere(self):
        evil = "<script>alert(1)</script>{{ 7*7 }}${7*7}\"'><img src=x onerror=alert(1)>"
        order = self._create_contract(
            [
                {
                    "name": evil,
                    "amount_untaxed": 10.0,
                    "description": f"<p onclick='alert(1)'>ok</p>{evil}",
                    "deliverable_ids": [Command.create({"name": evil, "acceptance_criteria": evil})],
                }
            ],
            client_order_ref=evil,
        )
        milestone = order.milestone_ids
        milestone.deliverable_ids.attachment_ids = [Command.create({"name": evil, "raw": b"x"})]
        self.approver.name = evil
        before = self._get_mails()
        self._submit(milestone)
        recipient = self._get_recipient(milestone, self.approver)
        self.authenticate(None, None)
        pages = [self._open(self._link(recipient)).text]
        self._ask_for_changes(self._link(recipient), reason=evil)
        pages.append(self._open(self._link(recipient)).text)
        self.milestone.invalidate_recordset()
        milestone.action_start()
        milestone.action_submit()
        recipient = self._get_recipient(milestone, self.approver)
        pages.append(self._open(self._link(recipient)).text)
        self._sign(self._link(recipient), name=evil)
        pages.append(self._open(self._link(recipient)).text)
        self._login(self.approver)
        pages.append(self._open(f"/my/milestones?groupby=order&search={evil[:8]}").text)
        pages += (self._get_mails() - before).mapped("body_html")
        pages += [str(body) for body in milestone.sudo().message_ids.mapped("body")]
        for page in pages:
            for bad in ("<script>alert", "<img src=x", "onclick=", "script&gt;49"):
                self.assertNotIn(bad, page)

    def test_links_of_deliverables_lead_nowhere_bad(self):
        self.milestone.action_withdraw()
        deliverable = self.milestone.deliverable_ids[0]
        for url in ("javascript:alert(1)", "data:text/html,x", "//example.com", "ftp://x", "https://"):
            with self.assertRaises(ValidationError):
                deliverable.url = url
        file = self.env["ir.attachment"].create({"name": "Bad", "type": "url", "url": "javascript:alert(1)"})
        good = self.env["ir.attachment"].create({"name": "Good", "type": "url", "url": "https://example.com/good"})
        deliverable.attachment_ids = [Command.link(file.id), Command.link(good.id)]
        self.milestone.action_submit()
        link = self._link(self._get_recipient(self.milestone, self.approver))
        page = self._open(link).text
        self.assertNotIn("javascript:alert", page)
        self.assertIn('href="https://example.com/good"', page)
        path, _mark, query = link.partition("?")
        for attachment in (file, good):
            with mute_logger("odoo.http"):
                self._open(f"{path}/attachments/{attachment.id}?{query}", 404)

    # -- the same as in the backend --------------------------------------------------------------------------

    def test_the_page_of_a_milestone_shows_no_review_from_inside(self):
        self.order.sudo().milestone_internal_review = True
        self.milestone.action_withdraw()
        self.milestone.with_user(self.users["salesperson"]).action_submit()
        self.milestone.with_user(self.users["reviewer"]).action_internal_reject("Our secret reason")
        self._login(self.approver)
        page = self._open(self._path()).text
        self.assertNotIn("secret", page)
        self.assertIn("taken back by the team", page)
        self.assertNotIn("Round 2", page)

    def test_the_link_dies_with_the_order(self):
        link = self._link(self.recipient)
        self.order._action_cancel()
        self.assertIn("This review is over", self._open(link).text)

    def test_reviews_of_a_person_end_with_the_term(self):
        snapshot = self._read_snapshot(self._link(self.recipient))
        self.recipient._write_protected({"expires_on": fields.Datetime.now()})
        answer = self._sign(self._link(self.recipient), snapshot=snapshot)
        self.assertIn("no longer valid", answer["error"])
        self.assertUndecided()
