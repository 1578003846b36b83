from datetime import timedelta

from odoo import fields
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .portal_common import PortalCommon, draw_signature


@tagged("post_install", "-at_install")
class TestPortalAccess(PortalCommon):
    """Who sees a milestone in the portal, and how much of it."""

    def _answers_like_nothing(self, path):
        self.assertRedirected(self._open(path, 303))

    # -- without login ---------------------------------------------------------------------------------

    def test_a_personal_link_opens_the_page_without_account(self):
        page = self._open(self._link(self.recipient)).text
        for text in (
            "Design",
            self.order.name,
            "11,500.00",
            "1,500.00",
            "10,000.00",
            "<b>screens</b> of the shop",
            "Screens",
            "Contrast AA",
            "screens.html",
            "https://example.com/work",
            "05/31/2030",
            "round 1",
            "Approve &amp; Sign",
        ):
            self.assertIn(text, page)

    def test_wrong_links_answer_as_if_there_were_nothing(self):
        token = self.recipient._get_token()
        for path in (
            self._path(),
            self._path(recipient=self.recipient.id),
            self._path(token=token),
            self._path(recipient=self.recipient.id, token=""),
            self._path(recipient=self.recipient.id, token=token[:-1]),
            self._path(recipient=self.recipient.id, token=token.upper()),
            self._path(recipient=self.recipient.id, token="é" * 64),
            self._path(recipient=self.second_recipient.id, token=token),
            self._path(recipient="٣", token=token),
            self._path(recipient="1e3", token=token),
            self._path(recipient=10**30, token=token),
            self._path(milestone=self.other_milestone, recipient=self.recipient.id, token=token),
            f"/my/milestones/0?recipient={self.recipient.id}&token={token}",
            f"/my/milestones/2147483647?recipient={self.recipient.id}&token={token}",
            f"/my/milestones/{10**20}?recipient={self.recipient.id}&token={token}",
        ):
            with self.subTest(path=path):
                self._answers_like_nothing(path)

    def test_the_permanent_token_of_other_documents_opens_nothing(self):
        token = self.milestone.sudo().access_token
        self._answers_like_nothing(self._path(access_token=token))
        self._answers_like_nothing(self._path(access_token=""))
        self._answers_like_nothing(self._path(token=token, recipient=self.recipient.id))
        self.assertNotIn("token", self.milestone.sudo().get_portal_url(report_type="pdf"))
        self.assertEqual(self.milestone.sudo()._get_share_url(pid=self.approver.id), self._path())

    def test_only_a_person_who_looks_counts_as_a_view(self):
        link = self._link(self.recipient)
        self.opener.head(f"{self.base_url()}{link}", headers={"User-Agent": "Mozilla/5.0"})
        for headers in (
            {"Odoo-Link-Preview": "True"},
            {"Sec-Purpose": "prefetch"},
            {"Purpose": "prefetch"},
            {"Sec-Fetch-Dest": "image"},
            {"User-Agent": "SafeLinks/1.0"},
        ):
            self._open(link, headers=headers)
        self.assertFalse(self.recipient.viewed_on)
        self._open(link)
        first = self.recipient.viewed_on
        self.assertTrue(first)
        self.recipient._write_protected({"viewed_on": first - timedelta(days=1)})
        self._open(link)
        self.assertEqual(self.recipient.viewed_on, first - timedelta(days=1))
        self.assertFalse(self.second_recipient.viewed_on)
        self.assertUndecided()

    def test_the_address_with_the_link_stays_private(self):
        headers = self._open(self._link(self.recipient)).headers
        self.assertEqual(headers["Referrer-Policy"], "same-origin")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertIn("noindex", headers["X-Robots-Tag"])
        self.assertIn("frame-ancestors 'self'", headers["Content-Security-Policy"])

    # -- links that died ---------------------------------------------------------------------------------

    def _assert_dead(self, recipient):
        link = self._link(recipient)
        page = self._open(link, 410).text
        self.assertIn("no longer valid", page)
        for text in ("Design", self.order.name, "11,500", "Screens", "Approve"):
            self.assertNotIn(text, page)
        file = self.milestone.deliverable_ids.attachment_ids
        self._open(self._link(recipient, f"/attachments/{file.id}"), 410)
        answer = self.make_jsonrpc_request(self._link(recipient, "/approve", snapshot="x"), {"name": "A"})
        self.assertIn("no longer valid", answer["error"])
        self.assertEqual(
            self.make_jsonrpc_request(
                self._path("/invoices"), {"recipient": recipient.id, "token": recipient._get_token()}
            ),
            {"waiting": False},
        )
        self.assertUndecided()

    def _ask_for_link(self, recipient):
        link = self._link(recipient)
        csrf_token = self._read_csrf_token(link, 410)
        response = self._post(link, "/link", {"csrf_token": csrf_token})
        self.assertEqual(response.status_code, 200)
        self.assertIn("Thank you", response.text)
        return response

    def _get_link_requests(self):
        return self.milestone.sudo().activity_ids.filtered(lambda activity: "new link" in (activity.summary or ""))

    def test_an_expired_link_is_replaced_by_a_new_one_by_mail(self):
        old = self._link(self.recipient)
        self.recipient._write_protected({"expires_on": fields.Datetime.now() - timedelta(minutes=1)})
        self._assert_dead(self.recipient)
        before = self._get_mails(self.approver)
        response = self._ask_for_link(self.recipient)
        mail = self._get_mails(self.approver) - before
        self.assertEqual(len(mail), 1)
        self.assertIn(self.recipient._get_token(), mail.body_html)
        self.assertNotIn(self.recipient._get_token(), response.text, "the new link goes by mail only")
        self._open(self._link(self.recipient))
        page = self._open(old, 410).text
        self.assertIn("no longer valid", page, "whoever found the old link does not profit")
        self.assertNotIn(self.recipient._get_token(), page)
        self.assertFalse(self._get_link_requests())

    def test_new_links_are_sent_once_in_ten_minutes(self):
        self.recipient._write_protected({"expires_on": fields.Datetime.now() - timedelta(minutes=1)})
        old = self._link(self.recipient)
        before = self._get_mails()
        self._ask_for_link(self.recipient)
        csrf_token = self._read_csrf_token(old, 410)
        self._post(old, "/link", {"csrf_token": csrf_token})
        self.assertEqual(len(self._get_mails() - before), 1)
        self.recipient._write_protected({"link_requested_on": fields.Datetime.now() - timedelta(minutes=11)})
        self._post(old, "/link", {"csrf_token": csrf_token})
        self.assertEqual(len(self._get_mails() - before), 2)

    def test_a_revoked_link_is_for_the_team_to_renew(self):
        self.recipient.action_revoke()
        self._assert_dead(self.recipient)
        before = self._get_mails()
        self._ask_for_link(self.recipient)
        self._ask_for_link(self.recipient)
        self.assertFalse(self._get_mails() - before)
        self.assertEqual(len(self._get_link_requests()), 1)
        self._open(self._link(self.recipient), 410)

    def test_the_link_of_an_archived_contact_is_dead(self):
        self.approver.user_ids.active = False
        self.approver.active = False
        self._assert_dead(self.recipient)
        self._ask_for_link(self.recipient)
        self.assertEqual(len(self._get_link_requests()), 1)

    def test_the_link_of_a_removed_approver_is_dead(self):
        self.order.sudo().milestone_approver_ids -= self.approver
        self._assert_dead(self.recipient)
        before = self._get_mails()
        self._ask_for_link(self.recipient)
        self.assertFalse(self._get_mails() - before)
        self.assertEqual(len(self._get_link_requests()), 1)
        self._open(self._link(self.second_recipient))

    def test_a_link_of_an_older_round_leads_to_the_new_one(self):
        old = self._link(self.recipient)
        self.milestone.action_withdraw()
        page = self._open(old).text
        self.assertIn("This review is over", page)
        self.assertNotIn("11,500", page)
        self.milestone.action_submit()
        page = self._open(old).text
        self.assertIn("round 2", page)
        self.assertIn("Approve &amp; Sign", page)
        newest = self._get_recipient(self.milestone, self.approver)
        self.assertNotEqual(newest, self.recipient)
        self.assertTrue(newest.viewed_on)

    def test_a_link_revoked_by_hand_stays_dead_in_later_rounds(self):
        old = self._link(self.recipient)
        self.recipient.action_revoke()
        self.milestone.action_withdraw()
        self.assertIn("no longer valid", self._open(old, 410).text)
        self.milestone.action_submit()
        self.assertIn("no longer valid", self._open(old, 410).text)
        self._open(self._link(self._get_recipient(self.milestone, self.approver)))

    # -- with login ------------------------------------------------------------------------------------------

    def test_contacts_of_the_client_read_and_learn_who_approves(self):
        self._login(self.other_contact)
        page = self._open(self._path()).text
        self.assertIn("11,500.00", page)
        self.assertIn("Approver, Second", page)
        self.assertNotIn("modal_milestone_approve", page)
        answer = self.make_jsonrpc_request(
            self._path("/approve", snapshot=self.milestone.approval_id.snapshot_hash),
            {"name": "Bystander", "signature": draw_signature()},
        )
        self.assertIn("Only Approver, Second", answer["error"])
        self.assertUndecided()

    def test_an_approver_with_an_account_needs_no_link(self):
        self._login(self.approver)
        self.assertIn("modal_milestone_approve", self._open(self._path()).text)
        self.assertTrue(self.recipient.viewed_on)

    def test_the_link_of_somebody_else_gives_a_login_nothing_to_decide(self):
        self._login(self.other_contact)
        self.assertNotIn("modal_milestone_approve", self._open(self._link(self.recipient)).text)
        self._login(self.stranger)
        page = self._open(self._link(self.recipient)).text
        self.assertNotIn("modal_milestone_approve", page)
        self.assertFalse(self.recipient.viewed_on)
        answer = self.make_jsonrpc_request(
            self._link(self.recipient, "/approve", snapshot=self.milestone.approval_id.snapshot_hash),
            {"name": "Stranger", "signature": draw_signature()},
        )
        self.assertIn("Only Approver, Second", answer["error"])
        self.assertUndecided()

    def test_other_clients_see_nothing(self):
        self._login(self.stranger)
        self._answers_like_nothing(self._path())
        self.assertNotIn("Design", self._open("/my/milestones").text)

    def test_drafts_are_no_business_of_the_client(self):
        draft = self._create_contract([{"name": "Secret plan", "amount_untaxed": 5.0}], confirm=False)
        self._login(self.approver)
        self._answers_like_nothing(self._path(milestone=draft.milestone_ids))
        self.assertNotIn("Secret plan", self._open("/my/milestones").text)
        draft.action_quotation_sent()
        self._open(self._path(milestone=draft.milestone_ids))
        self.assertIn("Secret plan", self._open("/my/milestones").text)

    def test_internal_reviews_stay_inside(self):
        self.order.sudo().milestone_internal_review = True
        self.other_milestone.action_start()
        self._show_work(self.other_milestone)
        self.other_milestone.action_submit()
        self.assertEqual(self.other_milestone.state, "internal_review")
        self._login(self.approver)
        page = self._open(self._path(milestone=self.other_milestone)).text
        self.assertIn("In Progress", page)
        self.assertNotIn("Internal", page)
        self.assertNotIn("milestone_history", page)

    # -- list and home -----------------------------------------------------------------------------------------

    def test_list_shows_what_matters_and_filters(self):
        self._login(self.approver)
        page = self._open("/my/milestones").text
        for text in ("Design", "Build", self.order.name, "11,500.00", "Waiting for Approval", "Planned"):
            self.assertIn(text, page)
        for query, found, missing in (
            ("filterby=to_approve", "Design", "Build"),
            ("filterby=approved", "No milestone matches", "Design"),
            ("filterby=open", "Build", "No milestone matches"),
            ("search=buil&search_in=name", "Build", "Design"),
            (f"search={self.order.name}&search_in=order", "Design", "No milestone matches"),
            ("search=nowhere", "No milestone matches", "Design"),
            ("groupby=state&sortby=date", 'scope="rowgroup"', "No milestone matches"),
        ):
            with self.subTest(query=query):
                page = self._open(f"/my/milestones?{query}").text
                self.assertIn(found, page)
                self.assertNotIn(f">{missing}<", page)

    def test_junk_in_the_address_of_the_list_is_harmless(self):
        self._login(self.approver)
        for query in (
            "sortby=id;drop table&filterby=%27%22&groupby=__class__&search_in=1",
            "search=%00&search_in=all",
            "search=%25%27%22%5C&search_in=order",
            "search=" + "x" * 5000,
            "page=-1&date_begin=x&date_end=y",
            "sortby=&filterby=&groupby=",
            "sortby=a&sortby=b",
        ):
            with self.subTest(query=query):
                self._open(f"/my/milestones?{query}")
        self._open("/my/milestones/page/99999999999999999999")
        self._open("/my/milestones/page/x", 404)
        self._open("/my/milestones/x", 404)

    def test_home_counts_what_waits_for_the_person(self):
        counters = ["milestone_count", "milestone_to_approve_count"]
        for partner, expected in ((self.approver, (1, 1)), (self.other_contact, (1, 0)), (self.stranger, (0, 0))):
            self._login(partner)
            values = self.make_jsonrpc_request("/my/counters", {"counters": counters})
            self.assertEqual((values["milestone_count"], values["milestone_to_approve_count"]), expected)
            self.assertIn("Milestones to approve", self._open("/my").text)
        self.recipient._write_protected({"expires_on": fields.Datetime.now()})
        self._login(self.approver)
        values = self.make_jsonrpc_request("/my/counters", {"counters": counters})
        self.assertEqual(values["milestone_to_approve_count"], 0)

    def test_previous_and_next_lead_through_the_list(self):
        self._login(self.approver)
        self._open("/my/milestones")
        self.assertIn(f'href="{self._path(milestone=self.other_milestone)}"', self._open(self._path()).text)

    # -- files ---------------------------------------------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_files_of_deliverables_are_downloaded_and_no_others(self):
        file = self.milestone.deliverable_ids.attachment_ids
        response = self._open(self._link(self.recipient, f"/attachments/{file.id}"))
        self.assertEqual(response.content, b"<script>alert(1)</script>")
        self.assertTrue(response.headers["Content-Disposition"].startswith("attachment"))
        self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(response.headers["Content-Security-Policy"], "default-src 'none'")

        loose = self._create_attachment("loose.txt", b"secret")
        of_milestone = self._create_attachment("internal.txt", res_model="sale.milestone", res_id=self.milestone.id)
        self.other_milestone.deliverable_ids.attachment_ids = [Command.create({"name": "later.txt", "raw": b"later"})]
        for other in (loose, of_milestone, self.other_milestone.deliverable_ids.attachment_ids):
            self._open(self._link(self.recipient, f"/attachments/{other.id}"), 404)
        self._open(self._link(self.recipient, f"/attachments/{10**20}"), 404)
        self._answers_like_nothing(self._path(f"/attachments/{file.id}"))
        self._answers_like_nothing(self._path(f"/attachments/{file.id}", milestone=self.other_milestone))
        self._login(self.stranger)
        self._answers_like_nothing(self._path(f"/attachments/{file.id}"))
        self._login(self.other_contact)
        self._open(self._path(f"/attachments/{file.id}"))

    # -- speed -----------------------------------------------------------------------------------------------------

    def _count_queries(self, path):
        self._open(path)
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self._open(path)
        return self.env.cr.sql_log_count - before

    def test_queries_do_not_grow_with_the_contract(self):
        orders = [self._create_contract([100.0] * count) for count in (3, 40)]
        pages, lists = [], []
        for order in orders:
            self._submit(order.milestone_ids)
            self.authenticate(None, None)
            pages.append(self._count_queries(self._link(self._get_recipient(order.milestone_ids[0], self.approver))))
            self._login(self.approver)
            lists.append(self._count_queries(f"/my/milestones?search={order.name}&search_in=order"))
        self.assertLessEqual(pages[1] - pages[0], 1, f"record page: {pages}")
        self.assertLessEqual(lists[1] - lists[0], 1, f"list: {lists}")
