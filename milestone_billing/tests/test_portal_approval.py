import base64
import html
import io
import re
from datetime import timedelta
from unittest.mock import patch
from urllib.parse import urlsplit

from PIL import Image

from odoo import fields
from odoo.exceptions import LockError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .portal_common import PortalCommon, draw_signature


@tagged("post_install", "-at_install")
class TestPortalApproval(PortalCommon):
    """The client decides: with which evidence, against what else, and what follows."""

    # -- approve -----------------------------------------------------------------------------------------

    def test_a_personal_link_approves_with_evidence(self):
        link = self._link(self.recipient)
        snapshot_hash = self.milestone.approval_id.snapshot_hash
        answer = self._sign(link, name="  Ada\n Approver ")
        self.assertTrue(answer["force_refresh"])
        self.assertEqual(answer["redirect_url"], f"{link}&message=approved")
        self.assertNotIn("error", answer)

        self.assertEqual(self.milestone.state, "approved")
        approval = self.milestone.sudo().accepted_approval_id
        self.assertRecordValues(
            approval,
            [
                {
                    "decision": "approved",
                    "decided_by": self.approver.id,
                    "method": "link",
                    "signed_by": "Ada Approver",
                    "snapshot_hash": snapshot_hash,
                    "ip_address": "127.0.0.1",
                    "user_agent": "Mozilla/5.0 (test)",
                    "consent": (
                        f"I approve milestone Design (round 1) of order {self.order.name} "
                        "for $\xa011,500.00, as shown on this page."
                    ),
                }
            ],
        )
        self.assertEqual(self.recipient.decision, "approved")
        self.assertFalse(self.milestone._verify_evidence())
        picture = Image.open(io.BytesIO(base64.b64decode(approval.with_context(bin_size=False).signature)))
        self.assertEqual(picture.format, "PNG")

        page = self._open(answer["redirect_url"]).text
        self.assertIn("Thank you!", page)
        self.assertIn("Your invoice is being made", page)
        self.assertNotIn("modal_milestone_approve", page)

    def test_the_consent_shown_is_the_consent_kept(self):
        page = self._open(self._link(self.recipient)).text
        shown = re.search(r'id="milestone_consent"[^>]*><strong>([^<]+)<', page)[1]
        self._sign(self._link(self.recipient))
        self.assertEqual(self.milestone.sudo().accepted_approval_id.consent, html.unescape(shown))

    def test_the_consent_is_kept_in_the_language_of_the_page(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        link = f"/fr{self._link(self.recipient)}"
        page = self._open(link).text
        shown = re.search(r'id="milestone_consent"[^>]*><strong>([^<]+)<', page)[1]
        self.assertIn("500,00", shown)
        self.assertEqual(re.search(r"lang=([a-zA-Z_]+)", page)[1], "fr_FR")
        snapshot = self.milestone.approval_id.snapshot_hash
        self._sign(self._link(self.recipient), lang="fr_FR", snapshot=snapshot)
        self.assertEqual(self.milestone.sudo().accepted_approval_id.consent, html.unescape(shown))

    def test_an_unknown_language_is_none(self):
        self._sign(self._link(self.recipient), lang="xx_XX'")
        self.assertIn("11,500.00", self.milestone.sudo().accepted_approval_id.consent)

    def test_an_account_approves_without_link(self):
        self._login(self.approver)
        answer = self._sign(self._path())
        self.assertEqual(answer["redirect_url"], self._path(message="approved"))
        approval = self.milestone.sudo().accepted_approval_id
        self.assertEqual((approval.method, approval.decided_by), ("portal", self.approver))

    def test_a_login_that_is_the_recipient_may_use_the_link(self):
        self._login(self.approver)
        self._sign(self._link(self.recipient))
        self.assertEqual(self.milestone.sudo().accepted_approval_id.method, "portal")

    def test_the_team_and_all_who_were_asked_are_told(self):
        before = self._get_mails()
        self._sign(self._link(self.recipient))
        mails = self._get_mails() - before
        to_client = mails.filtered(lambda mail: mail.recipient_ids <= (self.approver | self.second_approver))
        self.assertEqual(to_client.recipient_ids, self.approver | self.second_approver)
        for recipient in (self.recipient, self.second_recipient):
            mail = to_client.filtered(lambda mail, partner=recipient.partner_id: mail.recipient_ids == partner)
            self.assertIn(recipient._get_token(), mail.body_html)
            self.assertEqual(mail.state, "outgoing", "nothing leaves before the commit")
        inside = mails - to_client
        self.assertEqual(inside.recipient_ids, self.users["salesperson"].partner_id)
        self.assertNotIn("token=", inside.body_html)

    def test_the_discussion_names_the_person_and_holds_no_link(self):
        self._sign(self._link(self.recipient))
        messages = self.milestone.sudo().message_ids
        note = messages.filtered(lambda message: "Approved by" in (message.body or ""))
        self.assertEqual(note.author_id, self.approver)
        for message in messages:
            self.assertNotIn("token=", message.body or "")
        self.assertNotIn(self.env.ref("base.public_partner"), messages.author_id)

    # -- signature -----------------------------------------------------------------------------------------

    def test_signatures_that_are_none_are_refused_in_words(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        svg = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>').decode()
        html = base64.b64encode(b"<html><script>alert(1)</script></html>").decode()
        truncated = draw_signature()[:200]
        for signature, words in (
            (None, "signature is missing"),
            ("", "signature is missing"),
            (["x"], "signature is missing"),
            ({"a": 1}, "signature is missing"),
            (7, "signature is missing"),
            ("not base64!", "no PNG or JPEG"),
            ("é", "no PNG or JPEG"),
            ("data:image/png;base64," + draw_signature(), "no PNG or JPEG"),
            (svg, "no PNG or JPEG"),
            (html, "no PNG or JPEG"),
            (truncated, "no PNG or JPEG"),
            (draw_signature("GIF"), "no PNG or JPEG"),
            (draw_signature("BMP"), "no PNG or JPEG"),
            (draw_signature(line=False), "blank"),
            ("A" * (3 * 1024 * 1024), "too large"),
            (draw_signature(size=(5000, 4000)), "no PNG or JPEG"),
        ):
            with self.subTest(signature=str(signature)[:30]):
                answer = self._sign(link, signature=signature, snapshot=snapshot)
                self.assertIn(words, answer["error"])
                self.assertNotIn("force_refresh", answer)
        self.assertUndecided()

    def test_a_signature_needs_a_name(self):
        link = self._link(self.recipient)
        for name in (None, "", "  ", ["x"], "x" * 201):
            with self.subTest(name=str(name)[:10]):
                self.assertIn("sign with your name", self._sign(link, name=name)["error"])
        self.assertUndecided()

    def test_a_photograph_of_a_signature_is_kept_as_its_pixels(self):
        hidden = base64.b64decode(draw_signature("JPEG")) + b"<script>alert(1)</script>"
        self._sign(self._link(self.recipient), signature=base64.b64encode(hidden).decode())
        kept = self.milestone.sudo().accepted_approval_id.with_context(bin_size=False).signature
        self.assertNotIn(b"script", base64.b64decode(kept))

    # -- what was shown ------------------------------------------------------------------------------------

    def _replace_file(self):
        """Replace the file past Odoo, which refuses to change what is under review."""
        file = self.milestone.deliverable_ids.attachment_ids
        self.env.cr.execute("UPDATE ir_attachment SET checksum = %s WHERE id = %s", ["0" * 40, file.id])
        file.invalidate_recordset()

    def test_a_changed_deliverable_is_shown_before_it_is_approved(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        before = self._get_mails()
        self._replace_file()
        answer = self._sign(link, snapshot=snapshot)
        self.assertIn("changed since you opened it", answer["error"])
        self.assertEqual(answer["redirect_url"], f"{link}&message=changed")
        self.assertUndecided()
        self.assertEqual(self.milestone.approval_round, 2)
        self.assertEqual(len(self._get_mails() - before), 2, "everybody who is asked gets the new version")

        page = self._open(answer["redirect_url"]).text
        self.assertIn("This is a new version.", page)
        self.assertIn("replaced by a new version", page)
        self._sign(link)
        self.assertEqual(self.milestone.state, "approved")
        self.assertFalse(self.milestone._verify_evidence())

    def test_a_page_of_the_round_before_does_not_approve_the_next(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        self.milestone.action_withdraw()
        self.milestone.deliverable_ids[0].url = "https://example.com/second-version"
        self.milestone.action_submit()
        answer = self._sign(link, snapshot=snapshot)
        self.assertTrue(answer["redirect_url"].endswith("message=changed"))
        self.assertUndecided()
        self.assertEqual(self.milestone.approval_round, 2)

    def test_a_wrong_snapshot_approves_nothing(self):
        link = self._link(self.recipient)
        for snapshot in ("x", "0" * 64, self.milestone.approval_id.snapshot_hash[:-1]):
            self.assertIn("changed since", self._sign(link, snapshot=snapshot)["error"])
        self.assertUndecided()
        self.assertEqual(self.milestone.approval_round, 1)

    # -- one winner ----------------------------------------------------------------------------------------

    def test_the_second_decision_is_told_what_won(self):
        link, other = self._link(self.recipient), self._link(self.second_recipient)
        snapshot = self._read_snapshot(link)
        self._sign(link)
        approval = self.milestone.sudo().accepted_approval_id
        for late in (link, other):
            answer = self._sign(late, snapshot=snapshot)
            self.assertIn("does not wait for a decision any more", answer["error"])
            self.assertTrue(answer["redirect_url"].endswith("message=decided"))
            page = self._open(answer["redirect_url"]).text
            self.assertIn("does not wait for a decision any more", page)
            self.assertIn("Approved by <strong>Approver</strong>", page)
        self.assertEqual(self.milestone.sudo().approval_ids, approval)
        self.assertFalse(self.second_recipient.decision)

    def test_an_approval_after_changes_were_asked_for_is_told_so(self):
        other = self._link(self.second_recipient)
        snapshot = self._read_snapshot(other)
        self._ask_for_changes(self._link(self.recipient))
        answer = self._sign(other, snapshot=snapshot)
        self.assertIn("no longer valid", answer["error"])
        page = self._open(answer["redirect_url"]).text
        self.assertIn("Changes were requested", page)
        self.assertIn("Approver asked for changes", page)
        self.assertNotIn("new logo", page, "what a colleague wrote is on the page of the milestone, not here")
        self.assertEqual(self.milestone.state, "changes_requested")

    def test_a_decision_after_the_team_took_the_work_back_is_told_so(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        self.milestone.action_withdraw()
        self.assertTrue(self._sign(link, snapshot=snapshot)["redirect_url"])
        self.assertEqual(self.milestone.state, "in_progress")
        self._login(self.approver)
        self.assertIn("does not wait", self._sign(self._path(), snapshot=snapshot)["error"])

    def test_a_decision_at_the_very_same_moment_is_friendly(self):
        link = self._link(self.recipient)
        snapshot = self._read_snapshot(link)
        with patch.object(self.registry["sale.milestone"], "lock_for_update", side_effect=LockError("locked")):
            answer = self._sign(link, snapshot=snapshot)
        self.assertTrue(answer["redirect_url"].endswith("message=busy"))
        self.assertIn("try again", self._open(answer["redirect_url"]).text)
        self.assertUndecided()

    # -- changes ---------------------------------------------------------------------------------------------

    def test_a_personal_link_asks_for_changes(self):
        link = self._link(self.recipient)
        before = self._get_mails()
        response = self._ask_for_changes(link, reason=" Use <b>the new</b> logo. ")
        self.assertRedirected(response, self._path())
        self.assertEqual(self.milestone.state, "changes_requested")
        approval = self.milestone.sudo().approval_ids
        self.assertRecordValues(
            approval,
            [
                {
                    "decision": "changes_requested",
                    "decided_by": self.approver.id,
                    "method": "link",
                    "comment": "Use <b>the new</b> logo.",
                    "ip_address": "127.0.0.1",
                }
            ],
        )
        activity = self.milestone.sudo().activity_ids
        self.assertEqual(activity.user_id, self.users["salesperson"])
        self.assertIn("Changes requested", activity.summary)
        mail = self._get_mails() - before
        self.assertEqual(mail.recipient_ids, self.users["salesperson"].partner_id)
        self.assertIn("Use &lt;b&gt;the new&lt;/b&gt; logo.", mail.body_html)

        page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
        self.assertIn("You asked for changes", page)
        self.assertIn("Use &lt;b&gt;the new&lt;/b&gt; logo.", page)

    def test_an_account_asks_for_changes(self):
        self._login(self.approver)
        response = self._ask_for_changes(self._path())
        page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
        self.assertIn("has been told what should change", page)
        self.assertIn("changes requested by Approver", page)
        self.assertEqual(self.milestone.sudo().approval_ids.method, "portal")

    def test_changes_need_a_reason(self):
        link = self._link(self.recipient)
        for reason in ("", "  \n", "x" * 5001):
            response = self._ask_for_changes(link, reason=reason)
            self.assertIn("message=reason", response.headers["Location"])
            page = self._open(response.headers["Location"].replace(self.base_url(), "")).text
            self.assertIn("Please say what should change", page)
        self.assertUndecided()

    def test_changes_to_a_stale_page_show_the_new_version(self):
        link = self._link(self.recipient)
        response = self._ask_for_changes(link, snapshot="0" * 64)
        self.assertIn("message=changed", response.headers["Location"])
        self.assertUndecided()

    def test_the_next_round_tells_what_was_asked_for(self):
        self._ask_for_changes(self._link(self.recipient))
        self.milestone.action_start()
        self.milestone.action_submit()
        page = self._open(self._link(self._get_recipient(self.milestone, self.approver))).text
        self.assertIn("(round 2)", page)
        self.assertIn("changes requested by Approver", page)
        self.assertIn("Please use the new logo.", page)

    def test_a_time_that_ran_out_is_said_to_somebody_with_an_account(self):
        self.recipient._write_protected({"expires_on": fields.Datetime.now() - timedelta(days=1)})
        self._login(self.approver)
        page = self._open(self._path()).text
        self.assertNotIn("modal_milestone_approve", page)
        self.assertIn("Ask for a New Link", page)
        response = self._post(self._path(), "/link", {"csrf_token": self._read_csrf_token(self._path())})
        self.assertIn("Thank you", response.text)
        self.assertIn("modal_milestone_approve", self._open(self._path()).text)

    # -- invoice -----------------------------------------------------------------------------------------------

    def _poll(self, recipient):
        query = {"recipient": recipient.id, "token": recipient._get_token()}
        return self.make_jsonrpc_request(self._path("/invoices"), query)

    def test_the_page_of_the_approval_shows_the_invoice_and_pays_it(self):
        self.env["ir.config_parameter"].sudo().set_param("account_payment.enable_portal_payment", "True")
        self._sign(self._link(self.recipient))
        self.assertEqual(self._poll(self.recipient), {"waiting": True})
        self._run_queue()
        answer = self._poll(self.recipient)
        self.assertFalse(answer["waiting"])
        invoice = self._invoices(self.milestone)
        for text in (invoice.name, "11,500.00", "Waiting for Payment", "o_milestone_pay"):
            self.assertIn(text, answer["html"])
        page = self._open(self._link(self.second_recipient)).text
        self.assertIn(invoice.name, page)
        self.assertNotIn("is being made", page)
        # the invoice opens for somebody without account, from there it is Odoo's own page
        href = re.search(r'href="(/my/invoices/[^"]+)"', page)[1].replace("&amp;", "&")
        self.assertIn(invoice.name, self._open(href).text)

    def test_the_state_of_the_invoice_follows(self):
        self._sign(self._link(self.recipient))
        self._run_queue()
        invoice = self._invoices(self.milestone)
        self._pay(invoice)
        page = self._open(self._link(self.recipient)).text
        self.assertIn(">Paid<", page)
        self.assertNotIn("o_milestone_pay", page)
        self._credit(invoice)
        self.assertIn("Credit note", self._open(self._link(self.recipient)).text)

    def test_drafts_and_waiting_invoices_are_promised_only(self):
        self.order.sudo().milestone_invoice_policy = "draft"
        self._sign(self._link(self.recipient))
        self.assertFalse(self._poll(self.recipient)["waiting"])
        self._run_queue()
        invoice = self._invoices(self.milestone)
        self.assertEqual(invoice.state, "draft")
        page = self._open(self._link(self.recipient)).text
        self.assertIn("Your invoice follows.", page)
        self.assertNotIn("/my/invoices/", page)

    def test_an_approval_on_behalf_is_marked_as_such(self):
        proof = self._create_attachment()
        self.milestone.sudo()._approve(
            self._evidence(self.milestone, method="on_behalf", proof=proof, approved_on=fields.Date.today())
        )
        self.assertIn("Recorded on behalf of the client", self._open(self._link(self.recipient)).text)
        mail = self._get_mails(self.approver)[-1]
        self.assertIn("we recorded that", mail.body_html)

    # -- mails -----------------------------------------------------------------------------------------------

    def test_the_invitation_says_what_is_asked_for(self):
        mail = self._get_mails(self.approver)
        self.assertEqual(len(mail), 1)
        self.assertEqual(mail.subject, f"Design ({self.order.name}) waits for your approval")
        for text in ("Approver", "Design", self.order.name, "11,500.00", "Screens", "Prototype"):
            self.assertIn(text, mail.body_html)
        href = re.search(r'href="([^"]+token=[^"]+)"', mail.body_html)[1].replace("&amp;", "&")
        parts = urlsplit(href)
        self.assertIn("Design", self._open(f"{parts.path}?{parts.query}").text)
        self.assertNotIn(self.second_recipient._get_token(), mail.body_html)

    def test_mails_speak_the_language_of_who_gets_them(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.second_approver.lang = "fr_FR"
        before = self._get_mails()
        self.milestone.action_withdraw()
        self.milestone.action_submit()
        mails = self._get_mails() - before
        french = mails.filtered(lambda mail: mail.recipient_ids == self.second_approver)
        self.assertIn("500,00", french.body_html)
        self.assertIn("11,500.00", (mails - french).body_html)

    # -- discussion ------------------------------------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_a_personal_link_takes_part_in_the_discussion(self):
        self._open(self._link(self.recipient))
        token, thread = self.recipient._get_token(), {"thread_model": "sale.milestone", "thread_id": self.milestone.id}
        personal = {"token": token, "hash": token, "pid": self.approver.id}
        post_data = {"body": "When do you start?", "message_type": "comment", "subtype_xmlid": "mail.mt_comment"}
        answer = self.make_jsonrpc_request("/mail/message/post", {**thread, **personal, "post_data": post_data})
        message = self.env["mail.message"].sudo().browse(answer["message_id"])
        self.assertEqual((message.author_id, message.res_id), (self.approver, self.milestone.id))

        before = self.env["mail.mail"].sudo().search([])
        self.milestone.with_user(self.users["salesperson"]).message_post(
            body="On Monday.", subtype_xmlid="mail.mt_comment", message_type="comment"
        )
        mails = self.env["mail.mail"].sudo().search([]) - before
        to_approver = mails.filtered(lambda mail: self.approver in mail.recipient_ids)
        self.assertEqual(to_approver.recipient_ids, self.approver)
        self.assertIn(token, to_approver.body_html)
        self.assertNotIn(self.second_recipient._get_token(), to_approver.body_html)
        fetched = self.make_jsonrpc_request("/mail/chatter_fetch", {**thread, **personal})
        self.assertEqual(len(fetched["messages"]), 2, "both comments, and no note of the team")
