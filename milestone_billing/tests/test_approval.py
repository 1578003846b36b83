import json
from datetime import timedelta

from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MilestoneCommon


@tagged("post_install", "-at_install")
class TestApproval(MilestoneCommon):
    """The engine: submit, review inside, decide by the client, withdraw, prove."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([1000.0, 2000.0])
        cls.milestone, cls.second = cls.order.milestone_ids
        cls.order.milestone_ids.action_start()
        cls._show_work(cls.order.milestone_ids)

    def _as(self, role, record=None):
        return (record or self.milestone).with_user(self.users[role])

    def _require_internal_review(self, client=True):
        # as if it had been agreed so
        self.order._write_protected({"milestone_internal_review": True, "milestone_client_approval": client})

    # -- submission --------------------------------------------------------------------------------

    def test_a_submission_snapshots_what_is_shown(self):
        self.milestone.description = "<p>All of it</p>"
        attachment = self._create_attachment("plan.txt", b"the plan")
        self.milestone.deliverable_ids.attachment_ids = attachment
        self.milestone.action_submit()
        approval = self.milestone.approval_id
        self.assertRecordValues(
            approval,
            [
                {
                    "kind": "client",
                    "round": 1,
                    "decision": "pending",
                    "submitted_by": self.env.uid,
                    "due_date": fields.Date.context_today(self.milestone) + timedelta(days=10),
                }
            ],
        )
        snapshot = json.loads(approval.snapshot)
        self.assertEqual(
            {name: snapshot[name] for name in ("untaxed", "tax", "total", "currency", "name", "scope")},
            {
                "untaxed": "1000.00",
                "tax": "150.00",
                "total": "1150.00",
                "currency": "USD",
                "name": "Milestone 1",
                "scope": "<p>All of it</p>",
            },
        )
        self.assertEqual(snapshot["contract"], self.order.milestone_contract_hash)
        self.assertEqual(snapshot["lines"][0]["taxes"], self.tax_15.ids)
        self.assertEqual(snapshot["deliverables"][0]["files"][0]["checksum"], attachment.checksum)
        self.assertEqual(approval.snapshot_hash, approval._hash_text(approval.snapshot))
        self.assertEqual(approval.snapshot, self.milestone._get_snapshot(), "the form of a snapshot is one")
        self.assertEqual(self.milestone.state, "submitted")

    def test_amounts_in_snapshots_have_the_decimals_of_the_currency(self):
        for code, amount, text in (("JPY", 1000.0, "1000"), ("KWD", 0.007, "0.007")):
            currency = self.setup_other_currency(code, rates=[("1900-01-01", 1.0)])
            order = self._create_contract([amount], currency=currency)
            self.assertEqual(json.loads(order.milestone_ids._get_snapshot())["untaxed"], text)

    def test_a_submission_lists_everything_that_is_missing(self):
        order = self._create_contract([{"amount_untaxed": 1.0, "deliverable_ids": False}, 2.0])
        first, second = order.milestone_ids
        order.milestone_ids.action_start()
        with self.assertRefused("there is no deliverable"):
            first.action_submit()
        second.deliverable_ids = [Command.create({"name": "Report"})]
        with self.assertRefused("Deliverable 2 has no file, link or finished task(.|\n)*Report has no file"):
            second.action_submit()
        self.assertEqual(second.state, "in_progress")

    def test_work_starts_and_is_submitted_on_confirmed_orders_only(self):
        order = self._create_contract([1.0], confirm=False)
        with self.assertRefused("part of a quotation"):
            order.milestone_ids.action_start()
        with self.assertRefused("Start the work first"):
            order.milestone_ids.action_submit()

    def test_each_approver_gets_a_personal_link_with_a_term(self):
        self.order.milestone_approver_ids = self.approver + self.other_contact
        with freeze_time("2030-03-01 12:00:00"):
            self.milestone.action_submit()
        recipients = self.milestone.approval_id.recipient_ids
        self.assertEqual(recipients.partner_id, self.approver + self.other_contact)
        self.assertEqual(set(recipients.mapped("expires_on")), {fields.Datetime.to_datetime("2030-03-31 12:00:00")})
        self.assertEqual(len({recipient._get_token() for recipient in recipients}), 2)
        self.assertTrue(recipients[0]._check_token(recipients[0]._get_token()))
        self.assertFalse(recipients[0]._check_token(recipients[1]._get_token()))

    def test_submission_needs_an_approver_with_an_address(self):
        self.approver.email = False
        with self.assertRefused("Approver cannot be asked.*e-mail"):
            self.milestone.action_submit()

    def test_archived_approvers_are_replaced_by_the_contact_of_the_order(self):
        self.approver.active = False
        self.milestone.action_submit()
        self.assertEqual(self.milestone.approval_id.recipient_ids.partner_id, self.client_company)

    # -- decisions of the client ---------------------------------------------------------------------

    def test_an_approval_keeps_all_of_its_evidence(self):
        self.milestone.action_submit()
        approval = self.milestone.approval_id
        self.milestone.sudo()._approve(self._evidence(self.milestone))
        self.assertEqual(approval, self.milestone.accepted_approval_id)
        self.assertRecordValues(
            approval,
            [
                {
                    "decision": "approved",
                    "decided_by": self.approver.id,
                    "method": "link",
                    "signed_by": "Approver",
                    "consent": "I approve round 1.",
                    "ip_address": "192.0.2.7",
                    "user_agent": "Test browser",
                    "recorded_by": False,
                }
            ],
        )
        self.assertEqual(approval.consent_hash, approval._hash_text(approval.consent))
        self.assertTrue(approval.signature and approval.signature_hash and approval.chain_hash)
        self.assertEqual(approval.recipient_ids.decision, "approved")
        self.assertRecordValues(self.milestone, [{"state": "approved", "approved_by_id": self.approver.id}])
        self.assertEqual(self.milestone.deliverable_ids.state, "accepted")
        self.assertFalse(self.milestone._verify_evidence())

    def test_a_milestone_is_approved_once(self):
        self.milestone.action_submit()
        evidence = self._evidence(self.milestone)
        self.milestone._approve(evidence)
        for decide in (self.milestone._approve, self.milestone._request_changes):
            with self.assertRefused("does not wait for a decision"):
                decide({**evidence, "comment": "Again"})
        self.assertEqual(len(self.milestone.approval_ids), 1)
        with self.assertRefused("decided already", AccessError):
            self.milestone.approval_ids._decide("changes_requested", evidence)
        for action in (self.milestone.action_submit, self.milestone.action_start, self.milestone.action_withdraw):
            with self.assertRefused("Milestone 1"):
                action()

    def test_only_what_was_shown_is_approved(self):
        self.milestone.action_submit()
        with self.assertRefused("changed since you opened it"):
            self.milestone._approve(self._evidence(self.milestone, snapshot_hash="0" * 64))
        with self.assertRefused("changed since you opened it"):
            self.milestone._approve(self._evidence(self.milestone, snapshot_hash=None))
        # a change past all guards, as by a server-side script
        self._tamper("UPDATE sale_milestone SET name = 'Other' WHERE id = %s", self.milestone.ids)
        with self.assertRefused("changed since you opened it"):
            self.milestone._approve(self._evidence(self.milestone))

    def test_a_changed_content_makes_a_new_round_for_the_same_people(self):
        self.milestone.action_submit()
        old = self.milestone.approval_id
        self._tamper("UPDATE sale_milestone SET name = 'Other' WHERE id = %s", self.milestone.ids)
        new = self.milestone._renew_round()
        self.assertEqual((old.decision, new.decision, new.round), ("superseded", "pending", 2))
        self.assertEqual(new.recipient_ids.partner_id, self.approver)
        self.assertEqual(self.milestone._renew_round(), new, "nothing to renew")
        self.milestone._approve(self._evidence(self.milestone))
        self.assertEqual(self.milestone.state, "approved")
        self.assertFalse(self.milestone._verify_evidence())

    def test_a_request_for_changes_gives_a_reason_and_reaches_the_manager(self):
        self.milestone.action_submit()
        with self.assertRefused("say what should change"):
            self.milestone._request_changes(self._evidence(self.milestone, comment="  "))
        self.milestone._request_changes(self._evidence(self.milestone, comment="Bigger logo"))
        self.assertEqual(self.milestone.state, "changes_requested")
        activity = self.milestone.activity_ids
        self.assertEqual(activity.user_id, self.users["salesperson"])
        self.assertIn("Bigger logo", activity.note)
        approval = self.milestone.approval_ids
        self.assertEqual((approval.decision, approval.comment), ("changes_requested", "Bigger logo"))
        self.assertTrue(all(approval.recipient_ids.mapped("revoked")))
        self.milestone.action_submit()
        self.assertEqual(self.milestone.approval_id.round, 2)
        self.milestone._approve(self._evidence(self.milestone))
        self.assertFalse(self.milestone._verify_evidence())

    def test_a_reason_is_text_and_never_markup(self):
        self.milestone.action_submit()
        reason = "<script>alert(1)</script>{{ 7 * 7 }}"
        self.milestone._request_changes(self._evidence(self.milestone, comment=reason))
        note = self.milestone.message_ids.filtered(lambda message: "asks for changes" in message.body)
        self.assertNotIn("<script", note.body)
        self.assertNotIn("<script", self.milestone.activity_ids.note)
        self.assertIn("7 * 7", note.body)

    def test_a_withdrawn_review_kills_its_links_and_stays_on_record(self):
        self.milestone.action_submit()
        recipient = self.milestone.approval_id.recipient_ids
        self.assertTrue(recipient._is_live())
        self.milestone.action_withdraw()
        self.assertFalse(recipient._is_live())
        self.assertEqual(self.milestone.state, "in_progress")
        with self.assertRefused("does not wait for a decision"):
            self.milestone._approve(self._evidence(self.milestone, snapshot_hash="0"))
        self.assertEqual(self.milestone.approval_ids.decision, "withdrawn")
        with self.assertRefused("not under review"):
            self.milestone.action_withdraw()

    def test_links_expire_are_revoked_and_sent_again(self):
        self.milestone.action_submit()
        recipient = self.milestone.approval_id.recipient_ids
        with freeze_time(fields.Datetime.now() + timedelta(days=31)):
            self.assertFalse(recipient._is_live())
            recipient.action_resend()
            self.assertTrue(recipient._is_live())
        recipient.action_revoke()
        self.assertFalse(recipient._is_live())
        recipient.action_resend()
        self.assertFalse(recipient._is_live(), "what is revoked stays revoked")
        recipient.invalidate_recordset()
        self.approver.active = False
        self.assertFalse(recipient._is_live())

    # -- internal review ---------------------------------------------------------------------------------

    def test_an_internal_review_comes_before_the_client(self):
        self._require_internal_review()
        self._as("project_manager").sudo(False)
        self._as("sale_manager").action_submit()
        self.assertEqual(self.milestone.state, "internal_review")
        internal = self.milestone.approval_id
        self.assertEqual((internal.kind, internal.round), ("internal", 1))
        self.assertEqual(len(self.milestone.activity_ids), 1)
        self.assertFalse(internal.recipient_ids, "the client is not asked yet")
        with self.assertRefused("does not wait for a decision"):
            self.milestone._approve(self._evidence(self.milestone))
        self._as("reviewer").action_internal_approve()
        self.assertEqual(self.milestone.state, "submitted")
        client = self.milestone.approval_id
        self.assertEqual((client.kind, client.round), ("client", 1))
        self.assertEqual(client.submitted_by, self.users["sale_manager"])
        self.assertFalse(self.milestone.activity_ids)
        self.milestone._approve(self._evidence(self.milestone))
        self.assertFalse(self.milestone._verify_evidence())

    def test_four_eyes_the_submitter_does_not_review(self):
        self._require_internal_review()
        self.users["sale_manager"].group_ids += self.env.ref("milestone_billing.group_internal_reviewer")
        milestone = self._as("sale_manager")
        milestone.action_submit()
        self.assertNotEqual(self.milestone.activity_ids.user_id, self.users["sale_manager"])
        with self.assertRefused("somebody else has to review", AccessError):
            milestone.action_internal_approve()
        with self.assertRefused("somebody else has to review", AccessError):
            milestone.action_internal_reject("No")

    def test_only_reviewers_review(self):
        self._require_internal_review()
        self.milestone.action_submit()
        for role in ("salesperson", "project_manager", "invoicing", "accountant"):
            with self.subTest(role=role), self.assertRefused("Only internal reviewers", AccessError):
                self._as(role).action_internal_approve()

    def test_without_a_second_reviewer_the_submission_says_so(self):
        self._require_internal_review()
        group = self.env.ref("milestone_billing.group_internal_reviewer")
        group.sudo().user_ids = self.env.user
        with self.assertRefused("Nobody but you may review"):
            self.milestone.action_submit()

    def test_a_rejected_internal_review_sends_the_work_back(self):
        self._require_internal_review()
        self._as("sale_manager").action_submit()
        action = self._as("reviewer").action_internal_reject()
        self.assertEqual(action["res_model"], "sale.approval.reason")
        wizard = (
            self.env["sale.approval.reason"]
            .with_user(self.users["reviewer"])
            .with_context(**action["context"])
            .create({"reason": " Too short "})
        )
        wizard.action_confirm()
        self.assertEqual(self.milestone.state, "changes_requested")
        self.assertEqual(self.milestone.approval_ids.comment, "Too short")

    def test_an_internal_review_alone_can_be_the_approval(self):
        self._require_internal_review(client=False)
        self._as("sale_manager").action_submit()
        self._as("reviewer").action_internal_approve()
        self.assertEqual(self.milestone.state, "approved")
        self.assertEqual(self.milestone.approved_by_id, self.users["reviewer"].partner_id)
        self._run_queue()
        self.assertEqual(self.milestone.billing_state, "invoiced")

    def test_a_content_changed_under_internal_review_is_not_passed_on(self):
        self._require_internal_review()
        self._as("sale_manager").action_submit()
        self._tamper("UPDATE sale_milestone SET name = 'Other' WHERE id = %s", self.milestone.ids)
        with self.assertRefused("withdraw it and submit it again"):
            self._as("reviewer").action_internal_approve()

    # -- on behalf of the client ---------------------------------------------------------------------------

    def _create_on_behalf(self, role="sale_manager", **values):
        milestone = self._as(role)
        action = milestone.action_approve_on_behalf()
        proof = self.env["ir.attachment"].with_user(self.users[role]).create({"name": "mail.txt", "raw": b"yes"})
        return (
            self.env["sale.approval.on.behalf"]
            .with_user(self.users[role])
            .with_context(**action["context"])
            .create(
                {
                    "partner_id": self.approver.id,
                    "comment": "E-mail",
                    "proof_ids": [Command.set(proof.ids)],
                    "approved_on": fields.Date.today(),
                    **values,
                }
            )
        )

    def _create_on_behalf_of(self, milestone):
        self.env["sale.approval.on.behalf"].create(
            {
                "milestone_id": milestone.id,
                "partner_id": self.approver.id,
                "comment": "Paper",
                "proof_ids": [Command.set(self._create_attachment().ids)],
            }
        ).action_confirm()

    def test_an_approval_on_behalf_says_who_when_and_shows_the_proof(self):
        self.milestone.action_submit()
        self._create_on_behalf(approved_on="2020-02-02").action_confirm()
        approval = self.milestone.accepted_approval_id
        self.assertRecordValues(
            approval,
            [
                {
                    "method": "on_behalf",
                    "decided_by": self.approver.id,
                    "recorded_by": self.users["sale_manager"].id,
                    "approved_on": fields.Date.to_date("2020-02-02"),
                    "comment": "E-mail",
                }
            ],
        )
        self.assertEqual(approval.proof_ids.name, "mail.txt")
        self.assertEqual(self.milestone.approval_method, "on_behalf")
        self.assertTrue(self.milestone.message_ids.filtered(lambda message: "on behalf of the client" in message.body))
        self.assertFalse(self.milestone._verify_evidence())

    def test_an_approval_on_behalf_demands_its_proof(self):
        self.milestone.action_submit()
        for values, message in (
            ({"proof_ids": False}, "proof"),
            ({"approved_on": fields.Date.today() + timedelta(days=2)}, "future"),
            ({"partner_id": self.stranger.id}, "no contact of the client"),
        ):
            with self.subTest(message=message), self.assertRefused(message, Exception), mute_logger("odoo.sql_db"):
                self._create_on_behalf(**values).action_confirm()
        self.assertEqual(self.milestone.state, "submitted")

    def test_an_approval_on_behalf_is_for_those_allowed(self):
        self.milestone.action_submit()
        for role in ("salesperson", "project_user", "reviewer", "invoicing", "accountant"):
            with self.subTest(role=role), self.assertRefused("not allowed", AccessError):
                self._as(role).action_approve_on_behalf()

    def test_an_approval_on_behalf_needs_a_submission(self):
        with self.assertRefused("does not wait for a decision"):
            self._create_on_behalf().action_confirm()

    # -- reversal ------------------------------------------------------------------------------------------

    def test_an_accountant_takes_an_approval_back_while_nothing_is_invoiced(self):
        self._approve(self.milestone)
        with self.assertRefused("Only accountants", AccessError):
            self._as("sale_manager").action_revert_approval("No")
        with self.assertRefused("Only accountants", AccessError):
            self._as("invoicing").action_revert_approval("No")
        self._as("accountant").action_revert_approval("Signed by mistake")
        self.assertRecordValues(
            self.milestone,
            [
                {
                    "state": "in_progress",
                    "billing_state": "not_due",
                    "approved_by_id": False,
                    "approved_on": False,
                    "accepted_approval_id": False,
                    "invoice_queued_on": False,
                }
            ],
        )
        self.assertEqual(self.milestone.deliverable_ids.state, "pending")
        self.assertEqual(self.milestone.approval_ids.sorted("id").mapped("decision"), ["approved", "reverted"])
        self.assertFalse(self.milestone._verify_evidence())
        self._run_queue()
        self.assertFalse(self.milestone.invoice_line_ids)
        self.milestone.action_submit()
        self.milestone._approve(self._evidence(self.milestone))
        self.assertEqual(self.milestone.accepted_approval_id.round, 2)

    def test_a_second_reversal_is_recorded_too(self):
        for _number in range(2):
            self._approve(self.milestone)
            self.milestone.action_revert_approval("Again")
        self.assertEqual(len(self.milestone.approval_ids), 4)
        self.assertFalse(self.milestone._verify_evidence())

    def test_an_invoiced_approval_is_not_taken_back(self):
        invoice = self._bill(self.milestone)
        with self.assertRefused("is invoiced"):
            self._as("accountant").action_revert_approval("Too late")
        invoice.button_draft()
        invoice.button_cancel()
        self._as("accountant").action_revert_approval("Now it can be")
        self.assertEqual(self.milestone.state, "in_progress")
        with self.assertRefused("not approved any more"):
            invoice.button_draft()

    def test_a_credited_approval_can_be_taken_back(self):
        self._credit(self._bill(self.milestone))
        self.assertEqual(self.milestone.billing_state, "credited")
        self._as("accountant").action_revert_approval("All credited")
        self.assertEqual(self.milestone.state, "in_progress")
        self._approve(self.milestone)
        self._run_queue()
        self.assertEqual(self.milestone.billing_state, "invoiced")
        self.assertEqual(self.milestone.amount_invoiced, 1000.0)

    # -- chain -------------------------------------------------------------------------------------------------

    def test_the_chain_is_anchored_in_the_contract_and_each_link_in_the_one_before(self):
        self._approve(self.milestone)
        self.milestone.action_revert_approval("x")
        self._approve(self.milestone)
        first, second, third = self.milestone.approval_ids.sorted("id")
        self.assertEqual(first._get_previous_hash(), self.order.milestone_contract_hash)
        self.assertEqual(second._get_previous_hash(), first.chain_hash)
        self.assertEqual(third._get_previous_hash(), second.chain_hash)

    def test_the_verifier_names_the_first_broken_link(self):
        self._approve(self.milestone)
        self.milestone.action_revert_approval("x")
        self._approve(self.milestone)
        first, second, third = self.milestone.approval_ids.sorted("id")
        self.assertFalse(self.milestone._verify_evidence())
        tampering = {
            "snapshot": (first, "replace(snapshot, '1000.00', '9000.00')", "snapshot"),
            "snapshot_hash": (first, f"'{'0' * 64}'", "snapshot"),
            "submitted_by": (second, "1", "submission"),
            "round": (third, "7", "submission"),
            "due_date": (third, "due_date + 1", "submission"),
            "submission_hash": (second, f"'{'0' * 64}'", "submission"),
            "decision": (third, "'changes_requested'", "decision"),
            "decided_by": (first, str(self.stranger.id), "decision"),
            "decided_on": (first, "decided_on + interval '1 second'", "decision"),
            "signed_by": (third, "'Somebody'", "decision"),
            "signature_hash": (third, f"'{'0' * 64}'", "signature"),
            "consent": (third, "'I approve nothing.'", "consent"),
            "consent_hash": (third, f"'{'0' * 64}'", "consent"),
            "comment": (second, "'y'", "decision"),
            "ip_address": (first, "'198.51.100.1'", "decision"),
            "chain_hash": (second, f"'{'0' * 64}'", "decision"),
            "kind": (second, "'internal'", "submission"),
        }
        for column, (approval, value, problem) in tampering.items():
            with self.subTest(column=column):
                savepoint = self.env.cr.savepoint()
                self._tamper(f"UPDATE sale_approval SET {column} = {value} WHERE id = {approval.id}")
                found = self.milestone._verify_evidence()
                self.assertIn(f"record {approval.id})", found)
                self.assertIn(problem, found)
                savepoint.rollback()
                self.env.invalidate_all()
        self.assertFalse(self.milestone._verify_evidence())

    def test_the_verifier_misses_a_deleted_link(self):
        self._approve(self.milestone)
        self.milestone.action_revert_approval("x")
        first, second = self.milestone.approval_ids.sorted("id")
        self._tamper("UPDATE sale_milestone SET accepted_approval_id = NULL")
        self._tamper("DELETE FROM sale_approval_recipient WHERE approval_id = %s", first.ids)
        self._tamper("DELETE FROM sale_approval WHERE id = %s", first.ids)
        self.assertIn(f"record {second.id})", self.milestone._verify_evidence())

    def test_the_verifier_misses_the_last_link_of_an_approved_milestone(self):
        self._approve(self.milestone)
        approval = self.milestone.approval_ids
        self._tamper("UPDATE sale_milestone SET accepted_approval_id = NULL WHERE id = %s", self.milestone.ids)
        self._tamper("DELETE FROM sale_approval_recipient WHERE approval_id = %s", approval.ids)
        self._tamper("DELETE FROM sale_approval WHERE id = %s", approval.ids)
        self.assertTrue(self.milestone._verify_evidence())

    def test_the_verifier_compares_approved_milestones_with_their_evidence(self):
        self._tamper("UPDATE sale_milestone SET state = 'approved' WHERE id = %s", self.second.ids)
        self.assertTrue(self.second._verify_evidence(), "approved by SQL, without any evidence")

    def test_the_verifier_finds_an_altered_contract(self):
        self._approve(self.milestone)
        self._tamper(
            "UPDATE sale_order SET milestone_contract = replace(milestone_contract, '1000.00', '1.00') WHERE id = %s",
            self.order.ids,
        )
        self.assertIn("contract", self.milestone._verify_evidence())

    def test_a_replaced_contract_breaks_the_chain(self):
        self._approve(self.milestone)
        approval = self.milestone.approval_ids
        contract = self.order.sudo().milestone_contract.replace("1000.00", "1.00")
        self._tamper(
            "UPDATE sale_order SET milestone_contract = %s, milestone_contract_hash = %s WHERE id = %s",
            [contract, approval._hash_text(contract), self.order.id],
        )
        self.assertIn(f"record {approval.id})", self.milestone._verify_evidence())

    def test_a_replaced_signature_or_proof_is_found(self):
        self._approve(self.milestone)
        self.second.action_submit()
        self._create_on_behalf_of(self.second)
        proof = self.second.accepted_approval_id.proof_ids
        self._tamper("UPDATE ir_attachment SET checksum = %s WHERE id = %s", ["0" * 40, proof.id])
        self.assertIn("proof", self.second._verify_evidence())
        self._tamper("DELETE FROM ir_attachment WHERE id = %s", self._get_signature(self.milestone).ids)
        self.assertIn("signature", self.milestone._verify_evidence())

    def _get_signature(self, milestone):
        domain = [("res_model", "=", "sale.approval"), ("res_id", "=", milestone.accepted_approval_id.id)]
        return self.env["ir.attachment"].sudo().search([*domain, ("res_field", "=", "signature")])

    def test_files_shown_to_the_client_proofs_and_signatures_are_kept(self):
        shown = self._create_attachment("plan.txt")
        self.milestone.deliverable_ids.attachment_ids = shown
        self.assertEqual(
            (shown.res_model, shown.res_id), ("sale.milestone.deliverable", self.milestone.deliverable_ids.id)
        )
        shown.name = "plan 2.txt"
        self.milestone.action_submit()
        self._check_kept(shown)
        self.milestone._approve(self._evidence(self.milestone))
        self._check_kept(shown)
        self._check_kept(self._get_signature(self.milestone))
        self.second.action_submit()
        self._create_on_behalf_of(self.second)
        self._check_kept(self.second.accepted_approval_id.proof_ids)
        loose = self._create_attachment("loose.txt", res_model="sale.milestone.deliverable", res_id=shown.res_id)
        loose.unlink()

    def _check_kept(self, attachment):
        attachment = attachment.sudo()
        for values in ({"raw": b"other"}, {"name": "other"}, {"res_id": 0}, {"res_model": "res.partner"}):
            with self.subTest(name=attachment.name, values=values), self.assertRefused("kept as it is"):
                attachment.write(values)
        with self.assertRefused("kept as it is"):
            attachment.unlink()
        attachment.write({"raw": attachment.raw, "description": "the same content, stored elsewhere"})

    def test_the_button_tells_whether_the_evidence_is_unbroken(self):
        self._approve(self.milestone)
        self.assertEqual(self._as("salesperson").action_verify_evidence()["params"]["type"], "success")
        self._tamper("UPDATE sale_approval SET comment = 'x' WHERE milestone_id = %s", self.milestone.ids)
        self.assertEqual(self.milestone.action_verify_evidence()["params"]["type"], "danger")

    def test_rounds_of_two_milestones_do_not_wait_for_each_other(self):
        self._approve(self.second)
        self._approve(self.milestone)
        for milestone in self.order.milestone_ids:
            self.assertEqual(milestone.approval_ids._get_previous_hash(), self.order.milestone_contract_hash)
            self.assertFalse(milestone._verify_evidence())

    def test_the_database_refuses_a_second_open_round(self):
        self.milestone.action_submit()
        approval = self.milestone.approval_id
        values = {
            "milestone_id": self.milestone.id,
            "kind": "client",
            "round": 2,
            "snapshot": "{}",
            "submitted_by": self.env.uid,
        }
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            approval.sudo()._create_evidence(values)
            self.env.flush_all()
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            approval.sudo()._create_evidence({**values, "milestone_id": False})
            self.env.flush_all()

    def test_evidence_cannot_be_deleted_with_its_attachments_or_people(self):
        self._approve(self.milestone)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.approver.unlink()
            self.env.flush_all()

    def test_several_milestones_are_submitted_at_once(self):
        self.order.milestone_ids.action_submit()
        self.assertEqual(set(self.order.milestone_ids.mapped("state")), {"submitted"})
        self.order.milestone_ids.action_withdraw()
        with self.assertRefused("not waiting to be started"):
            self.order.milestone_ids.action_start()

    def test_a_refused_submission_of_one_leaves_all_as_they_were(self):
        self.second.deliverable_ids.url = False
        with self.assertRaises(UserError):
            self.order.milestone_ids.action_submit()
        self.assertEqual(set(self.order.milestone_ids.mapped("state")), {"in_progress"})
