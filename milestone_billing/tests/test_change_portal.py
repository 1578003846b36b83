import html
import re
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, LockError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .change_portal_common import ChangePortalCommon
from .portal_common import draw_signature


@tagged("post_install", "-at_install")
class TestChangePortal(ChangePortalCommon):
    """The client decides on a change request: what the page shows, with which evidence, and what follows."""

    # -- the page ------------------------------------------------------------------------------------------

    def test_a_personal_link_shows_what_changes_and_what_it_means(self):
        page = self._open(self._present()).text
        for text in (
            "Two more languages",
            self.change.name,
            self.order.name,
            "We sell to &lt;France&gt; now",
            "<b>Spanish</b>",
            "languages.txt",
            "Build: + $\xa01,500.00",
            "32,500.00",
            "34,000.00",
            "1,725.00",
            "12/31/2030",
            "12.0",
            "214 days later",
            "Approve &amp; Sign",
            "Ask for Another Version",
            "Decline",
            self.change.requested_by_id.name,
        ):
            self.assertIn(text, page.replace("&nbsp;", "\xa0"))

    def test_scope_and_acceptance_criteria_are_shown_in_full(self):
        self.other_milestone.sudo()._write_protected({"description": "<p>One shop only</p>"})
        known = self.env["sale.milestone.deliverable"].create(
            {"milestone_id": self.other_milestone.id, "name": "Pages", "acceptance_criteria": "Loads in 9 seconds"}
        )
        change = self._create_change(
            [
                {
                    "milestone_id": self.other_milestone.id,
                    "new_description": "<p>Shops in <b>two</b> countries</p><script>alert(1)</script>",
                    "deliverable_ids": [
                        Command.create({"name": "Tax report", "acceptance_criteria": "Sums match <the> books"}),
                        Command.create(
                            {
                                "action": "change",
                                "deliverable_id": known.id,
                                "acceptance_criteria": "Loads in 2 seconds",
                            }
                        ),
                    ],
                },
                {
                    "action": "add",
                    "new_name": "Training",
                    "amount": 500.0,
                    "new_date": "2030-11-06",
                    "new_description": "<p>Three days on site</p>",
                    "deliverable_ids": [
                        Command.create({"name": "Handbook", "acceptance_criteria": "Covers every screen"})
                    ],
                },
            ],
        )
        link = self._present(change)
        texts = (
            "Shops in <b>two</b> countries",
            "New deliverable: Tax report",
            "Sums match &lt;the&gt; books",
            "Loads in 2 seconds",
            "Loads in 9 seconds",
            "Three days on site",
            "New deliverable: Handbook",
            "Covers every screen",
        )
        snapshot = change.sudo().approval_id.snapshot

        def shown():
            self.env.invalidate_all()
            report = self.env["ir.actions.report"].sudo()
            paper = report._render_qweb_html("milestone_billing.action_report_change_request", change.ids)[0].decode()
            return self._open(link).text, paper, str(change.sudo().impact_html)

        for page in shown():
            for text in (*texts, "One shop only"):
                self.assertIn(text, page)
            self.assertNotIn("alert(1)", page)
            blocks = page.split("o_change_scope mb-3")[1:]
            self.assertEqual(len(blocks), 2)
            self.assertRegex(blocks[0], r">Build</div>")
            self.assertRegex(blocks[1], r">Training</div>")
            for text in ("Contract date: 11/06/2030", "Three days on site", "Handbook", "Covers every screen"):
                self.assertIn(text, blocks[1])
                self.assertNotIn(text, blocks[0])
        self.assertEqual(change.sudo().approval_id.snapshot, snapshot, "nothing is asked anew")
        self.assertNotIn("error", self._sign(link))
        self.assertEqual(change.state, "approved")
        self.env["sale.milestone.deliverable"].flush_model()
        self.env.cr.execute(
            "UPDATE sale_milestone_deliverable SET acceptance_criteria = 'Loads some day' WHERE id = %s", [known.id]
        )
        for page in shown():
            for text in texts:
                self.assertIn(text, page)
            self.assertNotIn("Loads some day", page)

    def test_a_colleague_with_an_account_reads_and_decides_nothing(self):
        self._present()
        self._login(self.other_contact)
        page = self._open(self._change_path()).text
        self.assertIn("1,500.00", page)
        self.assertNotIn("modal_change_request_approve", page)
        snapshot = self.change.approval_id.snapshot_hash
        answer = self.make_jsonrpc_request(
            self._change_path("/approve", query=f"?snapshot={snapshot}"),
            {"name": "Eve", "signature": draw_signature()},
        )
        self.assertIn("Only Approver, Second", answer["error"])
        self.assertOpen()

    def test_employees_preview(self):
        link = self._present()
        user = self.users["salesperson"]
        user.sudo().password = "milestone-password"
        self.authenticate(user.login, "milestone-password")
        for page in (self._change_path(), link):
            self.assertNotIn("modal_change_request_approve", self._open(page).text)
        snapshot = self.change.approval_id.snapshot_hash
        path, _mark, query = link.partition("?")
        answer = self.make_jsonrpc_request(
            f"{path}/approve?{query}&snapshot={snapshot}", {"name": "Eve", "signature": draw_signature()}
        )
        self.assertIn("This is a preview", answer["error"])
        csrf_token = self._read_csrf_token("/my/account")
        for suffix in ("/changes", "/reject"):
            self._post(link, suffix, {"reason": "x", "snapshot": snapshot, "csrf_token": csrf_token})
        self.assertOpen()

    def test_files_are_those_of_the_request(self):
        link = self._present()
        path, _mark, query = link.partition("?")
        file = self.change.sudo().attachment_ids
        response = self._open(f"{path}/attachments/{file.id}?{query}")
        self.assertEqual(response.content, b"fr, es")
        self.assertIn("attachment", response.headers["Content-Disposition"])
        other = self.milestone.deliverable_ids.attachment_ids
        with mute_logger("odoo.http"):
            self._open(f"{path}/attachments/{other.id}?{query}", 404)

    def test_nobody_attaches_a_file_that_they_cannot_read(self):
        private = self.env["ir.attachment"].create({"name": "salaries.txt", "raw": b"secret"})
        request = self.change.with_user(self.users["salesperson"])
        with self.assertRaises(AccessError):
            request.attachment_ids = [Command.link(private.id)]
        with self.assertRaises(AccessError):
            self.env["sale.change.request"].with_user(self.users["salesperson"]).create(
                {
                    "order_id": self.order.id,
                    "title": "x",
                    "reason": "x",
                    "attachment_ids": [Command.link(private.id)],
                }
            )

    def test_what_is_presented_is_kept(self):
        self._present()
        file = self.change.sudo().attachment_ids
        with self.assertRaises(UserError):
            file.raw = b"fr, es, it"
        with self.assertRaises(UserError):
            file.unlink()

    # -- approve -------------------------------------------------------------------------------------------

    def test_a_personal_link_approves_and_the_contract_changes(self):
        link = self._present()
        shown = re.search(r'id="change_request_consent"[^>]*><strong>([^<]+)<', self._open(link).text)[1]
        before = self._get_mails()
        answer = self._sign(link)
        self.assertNotIn("error", answer)
        self.assertEqual(answer["redirect_url"], f"{link}&message=approved")
        self.assertEqual(self.change.state, "approved")
        self.assertEqual(self.change.change_order_number, 1)
        self.assertEqual(self.order.milestone_revised_amount, 34000.0)
        approval = self.change.sudo().accepted_approval_id
        self.assertEqual((approval.method, approval.decided_by), ("link", self.approver))
        self.assertEqual(approval.consent, html.unescape(shown))
        self.assertIn("by $\xa01,500.00 untaxed ($\xa01,725.00 with taxes) to $\xa034,000.00", approval.consent)
        self.assertFalse(self.change._verify_evidence())
        mails = self._get_mails() - before
        self.assertEqual(
            mails.recipient_ids, self.approver | self.second_approver | self.users["salesperson"].partner_id
        )
        for mail in mails:
            self.assertIn("Two more languages", mail.body_html)
            self.assertIn(self.change.display_name, html.unescape(mail.body_html))
        page = self._open(answer["redirect_url"]).text
        self.assertIn("the contract is changed", page)
        self.assertIn("Change Order", page)
        self.assertIn("Build: + ", html.unescape(page))
        self.assertNotIn("modal_change_request_approve", page)

    def test_an_account_approves_without_link(self):
        self._present()
        self._login(self.approver)
        self._sign(self._change_path())
        self.assertEqual(self.change.sudo().accepted_approval_id.method, "portal")
        self.assertEqual(self.change.state, "approved")

    def test_signatures_and_names_are_checked_as_for_milestones(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        for values, words in (
            ({"signature": None}, "signature is missing"),
            ({"signature": draw_signature("GIF")}, "no PNG or JPEG"),
            ({"signature": draw_signature(line=False)}, "blank"),
            ({"name": " "}, "sign with your name"),
        ):
            self.assertIn(words, self._sign(link, snapshot=snapshot, **values)["error"])
        self.assertOpen()

    def test_a_change_of_dates_alone_is_approved_at_once(self):
        change = self._create_change([{"milestone_id": self.other_milestone.id, "new_date": "2031-01-31"}])
        link = self._present(change)
        answer = self._sign(link)
        self.assertNotIn("error", answer)
        self.assertEqual((change.state, change.sudo().accepted_approval_id.round), ("approved", 1))
        self.assertIn("its end to 01/31/2031", change.sudo().accepted_approval_id.consent)

    def test_everybody_may_have_another_language(self):
        """The team, the client and the visitor: what is decided on stays the same."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.users["salesperson"].sudo().lang = "fr_FR"
        link = self._present()
        page = self._open(f"/fr{link}").text
        shown = re.search(r'id="change_request_consent"[^>]*><strong>([^<]+)<', page)[1]
        self.assertIn("500,00", shown)
        answer = self._sign(link, lang="fr_FR", snapshot=self.change.approval_id.snapshot_hash)
        self.assertNotIn("error", answer)
        self.assertEqual(self.change.sudo().accepted_approval_id.consent, html.unescape(shown))
        self.assertEqual(self.change.sudo().accepted_approval_id.round, 1)

    # -- what came first -------------------------------------------------------------------------------------

    def test_another_change_order_elsewhere_makes_a_new_version(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        first = self._create_change([{"action": "add", "new_name": "Training", "amount": 800.0}])
        self._sign(self._present(first))
        self.assertEqual(first.state, "approved")
        answer = self._sign(link, snapshot=snapshot)
        self.assertTrue(answer["redirect_url"].endswith("message=changed"))
        self.assertEqual((self.change.state, self.change.approval_round), ("submitted", 2))
        self.assertIn("This is a new version", self._open(answer["redirect_url"]).text)
        self._sign(link)
        self.assertEqual(self.order.milestone_revised_amount, 34800.0)

    def test_a_milestone_that_changed_sends_the_request_back(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        self._approve(self.other_milestone)
        before = self._get_mails(self.second_approver)
        answer = self._sign(link, snapshot=snapshot)
        self.assertIn("The contract changed since this was written", answer["error"])
        self.assertEqual(self.change.state, "draft")
        self.assertEqual(self.order.milestone_revised_amount, 32500.0)
        self.assertIn("This review is over", self._open(answer["redirect_url"]).text)
        mail = self._get_mails(self.second_approver) - before
        self.assertIn("does not wait for you any more", mail.subject)
        self.assertNotIn("token=", mail.body_html)

    def test_a_submitted_milestone_is_withdrawn_and_its_link_dies(self):
        self.change.line_ids = [
            Command.clear(),
            Command.create({"action": "change", "milestone_id": self.milestone.id, "amount": 100.0}),
        ]
        link = self._present()
        before = self._get_mails()
        self.assertNotIn("error", self._sign(link))
        self.assertEqual(self.milestone.state, "in_progress")
        self.assertIn("This review is over", self._open(self._link(self.recipient)).text)
        mails = (self._get_mails() - before).filtered(lambda mail: "changed by a change order" in mail.subject)
        self.assertEqual(mails.recipient_ids, self.approver | self.second_approver)
        for mail in mails:
            self.assertIn("Design", mail.subject)
            self.assertNotIn("token=", mail.body_html)

    def test_the_second_decision_is_told_what_won(self):
        link, other = self._present(), self._link(self._get_recipient(self.change, self.second_approver))
        snapshot = self._read_snapshot(link)
        self._sign(link)
        answer = self._sign(other, snapshot=snapshot)
        self.assertIn("does not wait for a decision any more", answer["error"])
        self.assertEqual(self.order.change_order_ids, self.change)

    def test_a_decision_at_the_very_same_moment_is_friendly(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        with patch.object(self.registry["sale.order"], "lock_for_update", side_effect=LockError("locked")):
            answer = self._sign(link, snapshot=snapshot)
        self.assertTrue(answer["redirect_url"].endswith("message=busy"))
        self.assertIn("try again", self._open(answer["redirect_url"]).text)
        self.assertOpen()

    def test_when_it_cannot_be_applied_nothing_changes_and_the_team_is_told(self):
        link = self._present()
        apply = self.registry["sale.change.request"]._change_contract

        def fail_late(request, number):
            apply(request, number)
            raise UserError("The books of <b>May</b> are closed.")

        before = self._get_mails()
        with patch.object(self.registry["sale.change.request"], "_change_contract", fail_late):
            answer = self._sign(link)
            again = self._sign(link)
        for told in (answer, again):
            self.assertTrue(told["redirect_url"].endswith("message=failed"))
            self.assertIn("nothing was changed", told["error"])
            self.assertNotIn("books", told["error"])
        page = self._open(answer["redirect_url"]).text
        self.assertIn("Nothing was changed.", page)
        self.assertNotIn("books of", page)
        self.assertOpen()
        self.assertFalse(self._get_mails() - before)
        self.assertFalse(self.change.sudo().approval_ids.recipient_ids.filtered("decision"))
        activity = self.change.sudo().activity_ids
        self.assertEqual(activity.user_id, self.users["salesperson"])
        self.assertEqual(len(activity), 1)
        self.assertIn("could not be applied", activity.summary)
        self.assertIn("The books of &lt;b&gt;May", activity.note)
        self._sign(link)
        self.assertEqual(self.change.state, "approved")

    # -- changes and refusal ---------------------------------------------------------------------------------

    def test_another_version_is_asked_for_with_a_reason(self):
        link = self._present()
        before = self._get_mails()
        response = self._ask_for_changes(link, reason="One <b>language</b>")
        self.assertEqual(self.change.state, "changes_requested")
        self.assertEqual(self.change.sudo().approval_ids.comment, "One <b>language</b>")
        mail = self._get_mails() - before
        self.assertEqual(mail.recipient_ids, self.users["salesperson"].partner_id)
        self.assertIn("One &lt;b&gt;language", mail.body_html)
        page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
        self.assertIn("You asked for another version", page)
        self._login(self.other_contact)
        page = self._open(self._change_path()).text
        self.assertIn("The team works on this", page)
        self.assertNotIn("1,500", page)

    def _decline(self, page, reason="Too expensive", **values):
        text = self._open(page).text
        data = {
            "reason": reason,
            "snapshot": re.search(r"snapshot=([0-9a-f]{64})", text)[1],
            "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', text)[1],
            **values,
        }
        return self._post(page, "/reject", data)

    def test_the_client_declines_with_a_reason(self):
        link = self._present()
        before = self._get_mails()
        response = self._decline(link)
        self.assertEqual(self.change.state, "rejected")
        recipient = self._get_recipient(self.change, self.approver)
        self.assertEqual(recipient.decision, "rejected")
        approval = self.change.sudo().approval_ids
        self.assertRecordValues(
            approval, [{"decision": "rejected", "comment": "Too expensive", "decided_by": self.approver.id}]
        )
        self.assertEqual((self._get_mails() - before).recipient_ids, self.users["salesperson"].partner_id)
        page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
        self.assertIn("You declined the change", page)
        self.assertFalse(self.change._verify_evidence())
        self.assertEqual(self.order.milestone_revised_amount, 32500.0)
        self._login(self.other_contact)
        page = self._open(self._change_path()).text
        self.assertIn("declined by Approver", page)
        self.assertIn("1,500.00", page)

    def test_a_refusal_needs_a_reason_and_what_was_shown(self):
        link = self._present()
        for reason in ("", " ", "x" * 5001):
            self.assertIn("message=reason", self._decline(link, reason=reason).headers["Location"])
        self.assertIn("message=changed", self._decline(link, snapshot="0" * 64).headers["Location"])
        self.assertOpen()

    # -- links -------------------------------------------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_wrong_links_open_and_decide_nothing(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        recipient = self._get_recipient(self.change, self.approver)
        token = recipient._get_token()
        other = self._create_change([{"action": "add", "new_name": "Training", "amount": 800.0}])
        other.action_submit()
        file = self.change.sudo().attachment_ids
        csrf_token = self._read_csrf_token(link)
        for query in (
            "",
            f"?recipient={recipient.id}",
            f"?recipient={recipient.id}&token={token[:-1]}",
            f"?recipient={self.recipient.id}&token={self.recipient._get_token()}",
            f"?recipient={recipient.id}&token={self.recipient._get_token()}",
            f"?recipient={self._get_recipient(other, self.approver).id}&token={token}",
            f"?access_token={self.change.sudo().access_token}",
            f"?access_token={self.order.sudo().access_token}",
        ):
            with self.subTest(query=query):
                self.assertRedirected(self._open(self._change_path(query=query), 303))
                pdf = f"{self._change_path(query=query)}{'&' if query else '?'}report_type=pdf"
                self.assertRedirected(self._open(pdf, 303))
                self.assertRedirected(self._open(self._change_path(f"/attachments/{file.id}", query=query), 303))
                sep = "&" if query else "?"
                answer = self.make_jsonrpc_request(
                    f"{self._change_path('/approve', query=query)}{sep}snapshot={snapshot}",
                    {"name": "Eve", "signature": draw_signature()},
                )
                self.assertIn("not valid", answer["error"])
                for suffix in ("/changes", "/reject", "/link"):
                    form = {"csrf_token": csrf_token, "reason": "No", "snapshot": snapshot}
                    response = self.url_open(self._change_path(suffix, query=query), data=form, allow_redirects=False)
                    self.assertRedirected(response)
        # the link of a change request is none of a milestone of the same number, and the other way round
        self.assertRedirected(self._open(self._path(recipient=recipient.id, token=token), 303))
        self.assertOpen()
        self.assertFalse(recipient.link_requested_on)

    @mute_logger("odoo.http")
    def test_links_that_are_opened_or_posted_by_programs_decide_nothing(self):
        link = self._present()
        snapshot = self._read_snapshot(link)
        path, _mark, query = link.partition("?")
        for suffix in ("/approve", "/changes", "/reject", "/link"):
            address = f"{path}{suffix}?{query}&snapshot={snapshot}&reason=x&name=x&signature=x"
            self.assertIn(self.url_open(address, allow_redirects=False).status_code, (404, 405))
            self.assertIn(self.url_open(address, data={"reason": "x"}, allow_redirects=False).status_code, (400, 415))
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "x"}):
            for suffix in ("/changes", "/reject", "/link"):
                response = self._post(link, suffix, {"reason": "x", "snapshot": snapshot, **token})
                self.assertEqual(response.status_code, 400)
        self.assertOpen()

    def test_dead_links_show_nothing_and_are_renewed_by_mail(self):
        link = self._present()
        recipient = self._get_recipient(self.change, self.approver)
        recipient._write_protected({"expires_on": fields.Datetime.now() - timedelta(minutes=1)})
        path, _mark, query = link.partition("?")
        file = self.change.sudo().attachment_ids
        for address in (link, f"{link}&report_type=pdf", f"{path}/attachments/{file.id}?{query}"):
            page = self._open(address, 410).text
            self.assertIn("no longer valid", page)
            for text in ("languages", self.order.name, "1,500"):
                self.assertNotIn(text, page)
        answer = self.make_jsonrpc_request(f"{path}/approve?{query}&snapshot=x", {"name": "A"})
        self.assertIn("no longer valid", answer["error"])
        before = self._get_mails(self.approver)
        self._post(link, "/link", {"csrf_token": self._read_csrf_token(link, 410)})
        mail = self._get_mails(self.approver) - before
        self.assertIn("Your new link to Two more languages", mail.subject)
        self.assertIn(recipient._get_token(), mail.body_html)
        self._open(link, 410)
        self._open(self._link(recipient))
        self.assertOpen()

    def test_the_discussion_opens_with_the_link(self):
        self._present()
        token = self._get_recipient(self.change, self.approver)._get_token()
        thread = {"thread_model": "sale.change.request", "thread_id": self.change.id}
        answer = self.make_jsonrpc_request(
            "/mail/message/post",
            {**thread, "token": token, "hash": token, "pid": self.approver.id, "post_data": {"body": "Why?"}},
        )
        message = self.env["mail.message"].sudo().browse(answer["message_id"])
        self.assertEqual(message.author_id, self.approver)

    # -- what the client does not see ----------------------------------------------------------------------

    def test_requests_of_the_team_are_shown_when_they_are_presented(self):
        self._login(self.approver)
        self.assertRedirected(self._open(self._change_path(), 303))
        self._present()
        self._login(self.approver)
        self._open(self._change_path())
        self.change.action_withdraw()
        self.assertRedirected(self._open(self._change_path(), 303))
        self.change.action_reject("Our secret reason")
        page = self._open(self._change_path()).text
        self.assertIn("Declined", page)
        for text in ("secret", "1,500", "languages.txt"):
            self.assertNotIn(text, page)

    def test_what_the_team_declines_by_itself_stays_inside(self):
        self.change.action_reject("Our secret reason")
        self._login(self.approver)
        self.assertRedirected(self._open(self._change_path(), 303))
        self.assertNotIn("Two more languages", self._open("/my/change_requests").text)

    def test_strangers_see_nothing(self):
        self._present()
        self._login(self.stranger)
        self.assertRedirected(self._open(self._change_path(), 303))
        self.assertNotIn("Two more languages", self._open("/my/change_requests").text)

    @mute_logger("odoo.addons.base.models.ir_rule")
    def test_estimates_are_out_of_reach_of_rpc(self):
        self._present()
        request = self.change.with_user(self.portal_users[self.approver])
        self.assertEqual(request.read(["title", "state"])[0]["title"], "Two more languages")
        names = ("amount_delta", "total_delta", "days_delta", "effort_hours", "resources", "conflict", "impact_html")
        for name in names:
            with self.subTest(name=name), self.assertRaises(UserError):
                request.read([name])

    def test_texts_are_escaped_everywhere(self):
        evil = "<script>alert(1)</script>{{ 7*7 }}${7*7}\"'><img src=x onerror=alert(1)>"
        self.approver.name = evil
        before = self._get_mails()
        change = self._create_change(
            [{"action": "add", "new_name": evil, "amount": 10.0}],
            title=evil,
            reason=evil,
            description=f"<p onclick='alert(1)'>ok</p>{evil}",
            resources=evil,
        )
        change.attachment_ids = [Command.create({"name": evil, "raw": b"x"})]
        link = self._present(change)
        self.authenticate(None, None)
        pages = [self._open(link).text]
        self._ask_for_changes(link, reason=evil)
        pages.append(self._open(link).text)
        link = self._present(change)
        self._sign(link, name=evil)
        self.assertEqual(change.state, "approved")
        pages.append(self._open(link).text)
        self._login(self.approver)
        for path in ("/my/change_requests", f"/my/orders/{self.order.id}", f"/my/orders/{self.order.id}/statement"):
            pages.append(self._open(path).text)
        pages += (self._get_mails() - before).mapped("body_html")
        pages += [str(body) for body in change.sudo().message_ids.mapped("body")]
        pages.append(
            self.env["ir.actions.report"]
            .sudo()
            ._render_qweb_html("milestone_billing.action_report_change_request", change.ids)[0]
            .decode()
        )
        for page in pages:
            for bad in ("<script>alert", "<img src=x", "onclick='alert", 'onclick="alert', "script&gt;49"):
                self.assertNotIn(bad, page)

    # -- list and start page --------------------------------------------------------------------------------

    def test_the_list_finds_and_filters(self):
        self._present()
        self._login(self.approver)
        for query, found in (
            ("", True),
            ("?filterby=to_approve", True),
            ("?filterby=open", True),
            ("?filterby=approved", False),
            ("?filterby=own", False),
            ("?search=languages", True),
            ("?search=nothing-like-it", False),
            ("?search=%00%27&sortby=id;drop&filterby=x", False),
            ("?sortby=x&filterby=x&search=", True),
            ("?sortby=order", True),
            ("?sortby=title", True),
            ("?sortby=state", True),
        ):
            with self.subTest(query=query):
                page = self._open(f"/my/change_requests{query}").text
                self.assertEqual("Two more languages" in page, found)
        self._login(self.other_contact)
        self.assertNotIn("Two more languages", self._open("/my/change_requests?filterby=to_approve").text)

    def test_the_start_page_counts_what_waits(self):
        self._present()
        counters = ["change_request_count", "change_request_to_approve_count"]
        for partner, expected in ((self.approver, 1), (self.other_contact, 0)):
            self._login(partner)
            counts = self.make_jsonrpc_request("/my/counters", {"counters": counters})
            self.assertEqual(counts["change_request_to_approve_count"], expected)
            self.assertEqual(counts["change_request_count"], 1)
            self.assertIn("/my/change_requests", self._open("/my").text)

    # -- history ------------------------------------------------------------------------------------------------

    def test_the_order_shows_the_history_of_the_contract(self):
        order_page = self.order.get_portal_url()
        self.assertNotIn("contract_history_table", self._open(order_page).text)
        link = self._present()
        self.assertIn("Waiting for Approval", self._open(order_page).text)
        self._sign(link)
        page = self._open(order_page).text
        history = page[page.index('id="contract_history"') :]
        for text in ("Original contract", "32,500.00", "Two more languages", "+214", "1,500.00", "34,000.00"):
            self.assertIn(text, history)
        self.assertNotIn(self._change_path(), page, "without login there is no way to the page of a change request")
        self._login(self.other_contact)
        self.assertIn(self._change_path(), self._open(f"/my/orders/{self.order.id}").text)

    def test_drafts_of_the_team_are_no_part_of_the_history(self):
        self.assertNotIn("Two more languages", self._open(self.order.get_portal_url()).text)

    def test_the_statement_lists_the_change_orders(self):
        self._sign(self._present())
        page = self._open(self.order.get_portal_url(suffix="/statement")).text
        listed = page[page.index("statement_change_orders") :]
        for text in ("Two more languages", self.change.name, "+214", "1,500.00"):
            self.assertIn(text, listed)

    # -- paper ---------------------------------------------------------------------------------------------------

    def _print(self, user=None):
        Report = self.env["ir.actions.report"].with_user(user or self.env.user)
        return Report._render_qweb_html("milestone_billing.action_report_change_request", self.change.ids)[0].decode()

    def test_the_paper_holds_the_change_and_its_evidence(self):
        link = self._present()
        paper = self._print()
        self.assertIn("This change is proposed", paper)
        self.assertIn(f"Change Request {self.change.name}", paper)
        self._sign(link)
        paper = self._print()
        approval = self.change.sudo().accepted_approval_id
        for text in (
            "Change Order 1",
            "Client",
            "34,000.00",
            "12/31/2030",
            "Approver",
            approval.snapshot_hash,
            approval.signature_hash,
            approval.consent_hash,
            approval.chain_hash,
            "data:image/png;base64",
        ):
            self.assertIn(text, paper)

    def test_the_paper_is_for_those_who_see_amounts(self):
        for role in ("salesperson", "reviewer", "accountant"):
            self.assertIn("34,000.00", self._print(self.users[role]))
        project = self.env["project.project"].sudo().create({"name": "Shop"})
        self.order.sudo().milestone_ids._write_protected({"project_id": project.id})
        for role in ("project_user", "employee"):
            with self.assertRaises(Exception) as refused, mute_logger("odoo.addons.base.models.ir_rule"):
                self._print(self.users[role])
            self.assertNotIn("34,000", str(refused.exception))

    def test_the_client_downloads_the_paper(self):
        link = self._present()
        with patch.object(
            self.registry["ir.actions.report"], "_render_qweb_pdf", lambda *args, **kwargs: (b"%PDF-1.4", "pdf")
        ):
            response = self._open(f"{link}&report_type=pdf")
        self.assertEqual(response.headers["Content-Type"], "application/pdf")
        self.assertIn("Change_Request", response.headers["Content-Disposition"])
        self.assertEqual(response.headers["Cache-Control"], "no-store")
