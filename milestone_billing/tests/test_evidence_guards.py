from unittest.mock import patch
from urllib.parse import quote

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.base.models.ir_actions_report import IrActionsReport

from .change_portal_common import ChangePortalCommon
from .common import MilestoneCommon
from .portal_common import draw_signature
from .proposal_common import ProposalCommon
from .test_countersign import CountersignCommon
from .test_signed_contract import SignedCommon


class ChangeCommon(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([{"name": "Design", "amount_untaxed": 5000.0}])
        cls.design = cls.order.milestone_ids
        cls.change = cls._create_change(1000.0)

    @classmethod
    def _create_change(cls, amount, milestone=None, **values):
        milestone = milestone or cls.design
        return cls.env["sale.change.request"].create(
            {
                "order_id": milestone.order_id.id,
                "title": "More",
                "reason": "Because",
                "line_ids": [Command.create({"action": "change", "milestone_id": milestone.id, "amount": amount})],
                **values,
            }
        )

    def _open_on_behalf(self, subject, proof=None, **values):
        """Open the dialog and fill it in; what the client side keeps of it is what ``onchange`` answered."""
        proof = proof or self._create_attachment()
        context = subject.action_approve_on_behalf()["context"]
        return (
            self.env["sale.approval.on.behalf"]
            .with_context(**context)
            .create(
                {
                    "partner_id": self.approver.id,
                    "comment": "Paper",
                    "proof_ids": [Command.set(proof.ids)],
                    **values,
                }
            )
        )


@tagged("post_install", "-at_install")
class TestDialogs(CountersignCommon):
    """Dialogs show nothing of documents that their user may not read, whatever a client sends."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._sign_as_client()
        cls.insider = new_test_user(
            cls.env,
            login="milestone_insider",
            groups="base.group_user,sales_team.group_sale_salesman,milestone_billing.group_countersigner",
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )
        other_company = cls.env["res.company"].create({"name": "Elsewhere"})
        cls.outsider = new_test_user(
            cls.env,
            login="milestone_outsider",
            groups="base.group_user,sales_team.group_sale_manager,account.group_account_user,"
            "milestone_billing.group_countersigner,milestone_billing.group_approve_on_behalf",
            company_id=other_company.id,
            company_ids=[Command.set(other_company.ids)],
        )
        cls.own = cls._create_contract([{"name": "Own", "amount_untaxed": 1.0}], confirm=False)
        cls.own.user_id = cls.insider

    def _get_dialogs(self, order):
        milestone = order.milestone_ids[:1]
        return {
            "sale.order.countersign": {"order_id": order.id},
            "sale.retention.release.wizard": {"order_id": order.id},
            "sale.order.revision.compare": {"order_id": order.id},
            "sale.milestone.planner": {"order_id": order.id},
            "sale.approval.on.behalf": {"milestone_id": milestone.id},
            "sale.milestone.shift": {"milestone_id": milestone.id},
            "sale.milestone.shift.line": {"milestone_id": milestone.id},
            "sale.milestone.planner.line": {"milestone_id": milestone.id},
            "sale.milestone.planner.source": {"order_line_id": order.order_line[:1].id},
            "sale.approval.reason": {"milestone_id": milestone.id, "purpose": "hold"},
        }

    def _get_spec(self, model):
        return {name: {} for name, field in model._fields.items() if field.type not in ("one2many", "many2many")}

    def test_nobody_is_shown_a_document_by_naming_it(self):
        for name, values in self._get_dialogs(self.quotation).items():
            model = self.env[name].with_user(self.outsider)
            document = {key: value for key, value in values.items() if key != "purpose"}
            with self.subTest(dialog=name, way="onchange"), self.assertRaises(AccessError):
                model.onchange(values, list(document), self._get_spec(model))
            defaults = {f"default_{key}": value for key, value in values.items()}
            with self.subTest(dialog=name, way="default"), self.assertRaises(AccessError):
                model.with_context(**defaults).onchange({}, [], self._get_spec(model))

    def test_nobody_opens_a_dialog_on_what_they_may_not_read(self):
        dialogs = self._get_dialogs(self.quotation)
        for rows in ("sale.milestone.shift.line", "sale.milestone.planner.line", "sale.milestone.planner.source"):
            dialogs.pop(rows)
        dialogs["sale.approval.reason"]["reason"] = "Why"
        dialogs["sale.approval.on.behalf"].update(
            {"partner_id": self.approver.id, "comment": "x", "proof_ids": [Command.create({"name": "x", "raw": b"x"})]}
        )
        dialogs["sale.retention.release.wizard"].update({"amount": 1.0, "due_date": "2030-01-01"})
        for name, values in dialogs.items():
            with self.subTest(dialog=name), self.assertRaises(AccessError):
                self.env[name].with_user(self.outsider).create(values)

    def test_a_dialog_stays_with_its_document(self):
        self.assertFalse(self.quotation.with_user(self.insider).has_access("read"))
        dialog = self.env["sale.order.countersign"].with_user(self.insider).create({"order_id": self.own.id})
        for values in ({"order_id": self.quotation.id}, {"content_hash": "0" * 64}):
            with self.subTest(values=values), self.assertRefused("cannot change"):
                dialog.write(values)
        dialog.write({"order_id": self.own.id, "signature": draw_signature()})
        self.env.invalidate_all()
        self.assertEqual(dialog.amount_total, self.own.amount_total)

    def test_dialogs_and_their_rows_belong_to_who_opened_them(self):
        colleague = new_test_user(
            self.env,
            login="milestone_colleague",
            groups="base.group_user,sales_team.group_sale_salesman_all_leads,account.group_account_user,"
            "milestone_billing.group_countersigner,milestone_billing.group_approve_on_behalf",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )
        others = self.outsider | self.insider
        others.group_ids |= colleague.group_ids
        self.assertTrue(self.own.with_user(colleague).has_access("read"))
        dialogs = [
            self.env[name].with_user(colleague).create(values)
            for name, values in self._prepare_dialogs(self.own, colleague).items()
        ]
        rows = [dialog[name] for dialog in dialogs for name in ("line_ids", "source_ids") if name in dialog._fields]
        names = set(self.env.registry["sale.milestone.dialog.mixin"]._inherit_children)
        self.assertEqual({records._name for records in dialogs + rows if records}, names, "none is forgotten")
        self.env.flush_all()
        for records in dialogs + rows:
            for user in others:
                stolen = records.with_user(user)
                for refused in (
                    lambda stolen=stolen: stolen.read(["display_name"]),
                    lambda stolen=stolen: stolen.write({}),
                    lambda stolen=stolen: stolen.unlink(),
                ):
                    self.env.invalidate_all()
                    with self.subTest(model=records._name, user=user.login), self.assertRaises(AccessError):
                        refused()
                self.assertFalse(stolen.search_read([("id", "in", records.ids)]))
            self.assertEqual(len(records.search_read([])), len(records))
        for records in rows + dialogs:
            self.assertTrue(records.unlink())

    def _prepare_dialogs(self, order, user):
        """Return what the dialogs about an order are created with, their rows included."""
        dialogs = {name: dict(values) for name, values in self._get_dialogs(order).items() if "line" not in name}
        dialogs.pop("sale.milestone.planner.source")
        first, second = order.milestone_ids, order.milestone_ids.create({"order_id": order.id, "name": "Next"})
        second.write({"predecessor_ids": [Command.set(first.ids)], "contract_date": "2030-01-01"})
        proof = self.env["ir.attachment"].with_user(user).create({"name": "x", "raw": b"x"})
        dialogs["sale.milestone.planner"].update(
            line_ids=[Command.create({"name": "Row"})],
            source_ids=[Command.create({"order_line_id": order.order_line[0].id})],
        )
        dialogs["sale.approval.reason"]["reason"] = "Why"
        dialogs["sale.approval.on.behalf"].update(
            partner_id=self.approver.id, comment="x", proof_ids=[Command.set(proof.ids)]
        )
        dialogs["sale.retention.release.wizard"].update(amount=1.0, due_date="2030-01-01")
        return dialogs

    def test_rows_of_a_dialog_show_no_other_milestones(self):
        shift = self.env["sale.milestone.shift"].with_user(self.insider)
        rows = [Command.create({"milestone_id": self.design.id, "is_moved": True})]
        spec = {"line_ids": {"fields": {"date_before": {}, "date_after": {}}, "limit": 10}}
        with self.assertRaises(AccessError):
            shift.onchange({"milestone_id": self.own.milestone_ids.id, "days": 3, "line_ids": rows}, ["days"], spec)

    def test_those_who_may_read_are_shown_what_they_sign(self):
        dialog = self.env["sale.order.countersign"].with_user(self.director)
        shown = dialog.onchange({"order_id": self.quotation.id}, ["order_id"], self._get_spec(dialog))["value"]
        self.assertEqual(shown["amount_total"], self.quotation.amount_total)
        self.assertEqual(shown["client_name"], "Approver")
        self.assertTrue(shown["client_signature"])


@tagged("post_install", "-at_install")
class TestOnBehalf(ChangeCommon):
    """An approval on behalf of the client is of what the dialog showed, and its proof belongs to it alone."""

    def _present_again(self, amount):
        self.change.action_withdraw()
        self.change.line_ids.amount = amount
        self.change.action_submit()

    def test_a_dialog_of_an_earlier_round_approves_nothing(self):
        self.change.action_submit()
        dialog = self._open_on_behalf(self.change)
        self._present_again(9000.0)
        with self.assertRefused("was presented again since you opened this"):
            dialog.action_confirm()
        self.assertEqual(self.change.state, "submitted")
        self._open_on_behalf(self.change).action_confirm()
        self.assertEqual(self.change.state, "approved")

    def test_what_the_screen_was_opened_on_counts_not_when_it_is_saved(self):
        self.change.action_submit()
        model = self.env["sale.approval.on.behalf"]
        model = model.with_context(**self.change.action_approve_on_behalf()["context"])
        opened = model.onchange({}, [], {"approval_id": {}, "snapshot_hash": {}})["value"]
        self._present_again(9000.0)
        dialog = self._open_on_behalf(self.change, **opened)
        with self.assertRefused("was presented again"):
            dialog.action_confirm()

    def test_the_same_presented_again_is_another_round(self):
        self.change.action_submit()
        dialog = self._open_on_behalf(self.change)
        self._present_again(1000.0)
        with self.assertRefused("was presented again"):
            dialog.action_confirm()

    def test_a_dialog_does_not_move_to_another_round(self):
        self.change.action_submit()
        dialog = self._open_on_behalf(self.change)
        self._present_again(9000.0)
        approval = self.change.approval_id
        for values in ({"approval_id": approval.id}, {"snapshot_hash": approval.snapshot_hash}):
            with self.assertRefused("cannot change"):
                dialog.write(values)

    def test_a_file_of_another_document_stays_there(self):
        invoice = self.env["account.move"].create({"move_type": "out_invoice", "partner_id": self.approver.id})
        bill = self._create_attachment(name="bill.pdf", res_model="account.move", res_id=invoice.id)
        upload = self._create_attachment(res_model="sale.approval.on.behalf")
        self.change.action_submit()
        self._open_on_behalf(self.change, proof=bill | upload).action_confirm()
        approval = self.change.accepted_approval_id
        self.assertRecordValues(bill, [{"res_model": "account.move", "res_id": invoice.id, "name": "bill.pdf"}])
        self.assertIn(upload, approval.proof_ids)
        self.assertNotIn(bill, approval.proof_ids)
        self.assertEqual(sorted(approval.proof_ids.mapped("name")), ["bill.pdf", "proof.txt"])
        self.assertEqual(set(approval.proof_ids.mapped("res_id")), set(approval.ids))
        self.assertFalse(self.change._verify_evidence())

    def test_a_loose_file_of_somebody_else_stays_theirs(self):
        loose = self._create_attachment().with_user(self.users["sale_manager"]).sudo().copy({"public": True})
        self.change.action_submit()
        self._open_on_behalf(self.change, proof=loose).action_confirm()
        self.assertFalse(loose.res_model)
        self.assertFalse(self.change.accepted_approval_id.proof_ids.public)

    def test_a_link_is_no_proof(self):
        link = self.env["ir.attachment"].create({"name": "Mail", "type": "url", "url": "https://example.com/mail"})
        self.change.action_submit()
        with self.assertRefused("A link is no proof"):
            self._open_on_behalf(self.change, proof=link).action_confirm()


@tagged("post_install", "-at_install")
class TestPresentedFiles(ChangeCommon):
    """A file that was presented is kept, however its round ended."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.change.attachment_ids = [Command.create({"name": "offer.txt", "raw": b"offer 1"})]
        cls.file = cls.change.attachment_ids
        cls.change.action_submit()

    def _reject(self, method="_reject"):
        approval = self.change.sudo().approval_id
        evidence = {"snapshot_hash": approval.snapshot_hash, "comment": "No.", "partner": self.approver}
        getattr(self.change.sudo(), method)({**evidence, "method": "link"})

    def assertKept(self, file):
        for change in (
            lambda: file.write({"raw": b"offer 2"}),
            lambda: file.write({"name": "cheaper.txt"}),
            lambda: file.unlink(),
        ):
            with self.assertRefused("kept as it is"):
                change()

    def test_files_of_declined_rounds_are_kept(self):
        self._reject()
        self.assertEqual(self.change.state, "rejected")
        self.assertKept(self.file)

    def test_files_of_rounds_that_asked_for_changes_are_kept_and_others_are_free(self):
        self._reject("_request_changes")
        self.change.attachment_ids = [Command.create({"name": "offer2.txt", "raw": b"offer 2"})]
        self.assertKept(self.file)
        (self.change.attachment_ids - self.file).write({"raw": b"offer 3"})
        self.change.attachment_ids -= self.file
        self.assertKept(self.file)

    def test_files_of_cancelled_requests_are_kept(self):
        self.change.action_withdraw()
        self.change.action_cancel()
        self.assertEqual(self.change.state, "cancelled")
        self.assertKept(self.file)

    def test_files_of_a_milestone_that_was_sent_back_are_kept(self):
        deliverable = self.design.deliverable_ids
        deliverable.attachment_ids = [Command.create({"name": "work.txt", "raw": b"work"})]
        self._submit(self.design)
        self.design.action_withdraw()
        self.assertKept(deliverable.attachment_ids)

    def test_files_that_were_never_presented_are_free(self):
        draft = self._create_change(5.0, attachment_ids=[Command.create({"name": "draft.txt", "raw": b"draft"})])
        draft.attachment_ids.write({"raw": b"other"})
        draft.attachment_ids.unlink()

    def test_rounds_of_earlier_versions_keep_their_files_too(self):
        self._reject()
        other = self._create_change(5.0, attachment_ids=[Command.create({"name": "x.txt", "raw": b"x"})])
        other.action_submit()
        self._tamper("DELETE FROM sale_approval_presented_file_rel")
        self._tamper("UPDATE sale_approval SET snapshot = snapshot || '}' WHERE id = %s", other.approval_id.ids)
        self.env["sale.approval"].init()
        self.env.invalidate_all()
        self.assertEqual(self.change.approval_ids.presented_file_ids, self.file)
        self.assertKept(self.file)

    def test_content_is_kept_wherever_it_is_stored(self):
        self.env["ir.config_parameter"].set_param("ir_attachment.location", "db")
        change = self._create_change(
            5.0, attachment_ids=[Command.create({"name": "db.txt", "raw": b"in the database"})]
        )
        change.action_submit()
        file = change.attachment_ids
        self.assertTrue(file.sudo().db_datas)
        for values in (
            {"db_datas": b"forged"},
            {"db_datas": False},
            {"mimetype": "text/css"},
            {"store_fname": "aa/bb"},
            {"checksum": "0" * 40},
        ):
            with self.subTest(values=values), self.assertRefused("kept as it is"):
                file.write(values)
        file.sudo().write({"db_datas": b"in the database"})
        self.assertEqual(file.raw, b"in the database")
        self.env["ir.config_parameter"].set_param("ir_attachment.location", "file")
        file.sudo()._migrate()
        self.assertEqual(file.raw, b"in the database")
        self.assertTrue(change._is_snapshot_current())


@tagged("post_install", "-at_install")
class TestLateDocument(SignedCommon):
    """The signed contract shows what was signed, or is not made at all."""

    def _apply_change(self):
        change = self.env["sale.change.request"].create(
            {
                "order_id": self.order.id,
                "title": "More",
                "reason": "Because",
                "line_ids": [Command.create({"action": "change", "milestone_id": self.design.id, "amount": 500.0})],
            }
        )
        with patch.object(IrActionsReport, "_render_qweb_pdf", side_effect=UserError("No renderer")):
            change.action_submit()
            self._approve_change(change)
        self.assertEqual(change.state, "approved")

    def _approve_change(self, change):
        change.sudo()._approve(
            {
                "partner": change.approval_id.recipient_ids.partner_id[:1],
                "method": "link",
                "snapshot_hash": change.approval_id.snapshot_hash,
                "signed_by": "Approver",
                "consent": change.sudo()._get_consent(),
            }
        )

    def _get_notes(self):
        return self.order.message_ids.filtered(lambda message: "cannot be made" in (message.body or ""))

    def assertToldOnce(self, pattern):
        self.assertFalse(self.order.signed_document_id)
        self.assertRegex(self.order.signed_document_error, pattern)
        self.assertEqual(len(self._get_notes()), 1)
        activities = self.order.activity_ids.filtered(lambda activity: "cannot be made" in (activity.summary or ""))
        self.assertEqual(activities.user_id, self.users["salesperson"])
        self.assertEqual(len(activities), 1)

    def test_no_document_is_made_of_a_contract_with_a_change_order(self):
        self._tamper("UPDATE sale_order SET signed_document_queued_on = NULL WHERE id = %s", self.order.ids)
        self._apply_change()
        self.order.sudo()._write_protected({"signed_document_queued_on": "2030-01-01"})
        self._make_document()
        self.assertToldOnce("change order")
        self._make_document()
        self.assertToldOnce("change order")
        with self.assertRefused("change order"):
            self.order.sudo()._make_signed_document()

    def test_no_document_is_made_of_what_was_not_signed(self):
        self.extra.price_unit = 120.0
        self._make_document()
        self.assertToldOnce("Extra")
        self.extra.price_unit = 100.0
        self._make_document()
        self.assertTrue(self.order.signed_document_id)
        self.assertFalse(self.order.signed_document_error)

    def test_a_document_that_was_made_in_time_is_sent_later(self):
        with mute_logger("odoo.addons.milestone_billing.models.sale_order_signed_document"):
            with patch.object(type(self.order), "_send_signed_document", side_effect=UserError("No mail")):
                self._make_document()
        document = self.order.signed_document_id
        self._apply_change()
        self._make_document()
        self.assertEqual(self.order.signed_document_id, document)
        self.assertTrue(self.order.signed_document_sent_on)


@tagged("post_install", "-at_install")
class TestSignatureFiles(CountersignCommon):
    """Signatures of what was signed are kept, in whatever state the order is."""

    def _get_files(self):
        return self.env["ir.attachment"].search(
            [
                ("res_model", "=", "sale.order"),
                ("res_id", "=", self.quotation.id),
                ("res_field", "in", ("signature", "countersignature")),
            ]
        )

    def assertKept(self, count):
        files = self._get_files()
        self.assertEqual(len(files), count)
        for file in files:
            for user in (self.users["salesperson"], self.env.user):
                with self.assertRefused("neither replaced nor deleted"):
                    file.with_user(user).unlink()
            with self.assertRefused("neither replaced nor deleted"):
                file.sudo().write({"raw": b"other"})

    def test_signatures_of_a_cancelled_contract_are_kept(self):
        self._sign_as_client()
        self._countersign()
        self.quotation._action_cancel()
        self.assertKept(2)

    def test_the_signature_of_a_quotation_is_kept_until_it_is_void(self):
        self._sign_as_client()
        self.assertKept(1)
        self.design.order_line_ids[:1].price_unit = 7.0
        self._commit()
        self.assertFalse(self.quotation.signature)
        self.assertFalse(self._get_files())
        self._sign_as_client()
        self.assertKept(1)

    def test_no_client_passes_as_the_order(self):
        self._sign_as_client()
        file = self._get_files().with_context(milestone_signature_write=True)
        with self.assertRefused("neither replaced nor deleted"):
            file.unlink()


@tagged("post_install", "-at_install")
class TestMergedContacts(ChangeCommon):
    """Contacts whom evidence names are not merged away."""

    def _merge(self, source, target=None):
        target = target or self.env["res.partner"].create({"name": "Target", "email": source.email})
        self.env["base.partner.merge.automatic.wizard"].create(
            {"partner_ids": [Command.set((source | target).ids)], "dst_partner_id": target.id}
        ).action_merge()

    def test_who_approved_or_was_asked_is_not_merged_away(self):
        self._submit(self.design)
        with self.assertRefused("Approver.*cannot be merged"):
            self._merge(self.approver)
        self.design.sudo()._approve(self._evidence(self.design))
        with self.assertRefused("Approver.*archive"):
            self._merge(self.approver)
        self.assertFalse(self.design._verify_evidence())

    def test_parties_of_a_contract_are_not_merged_away(self):
        self.design._write_protected({"approver_ids": [Command.set(self.other_contact.ids)]})
        for partner in (self.client_company, self.approver, self.other_contact):
            with self.subTest(partner=partner.name), self.assertRefused("cannot be merged"):
                self._merge(partner)

    def test_employees_of_evidence_are_not_merged_away(self):
        self._submit(self.design, user=self.users["salesperson"])
        with self.assertRefused("cannot be merged"):
            self._merge(self.users["salesperson"].partner_id)

    def test_they_can_be_what_others_are_merged_into(self):
        self._submit(self.design)
        twin = self.approver.copy({"name": "Twin"})
        self._merge(twin, self.approver)
        self.assertFalse(twin.exists())
        self.assertFalse(self.design._verify_evidence())

    def test_others_are_merged_as_ever(self):
        self._merge(self.stranger)
        self.assertFalse(self.stranger.exists())


@tagged("post_install", "-at_install")
class TestKickoffMeeting(ChangeCommon):
    """A meeting is the kickoff of an order for those who plan it only."""

    def _prepare_event(self):
        return {
            "name": "Meeting",
            "start": fields.Datetime.now(),
            "stop": fields.Datetime.now(),
            "kickoff_order_id": self.order.id,
        }

    def test_not_anybody_makes_a_meeting_the_kickoff(self):
        for role in ("employee", "reviewer"):
            events = self.env["calendar.event"].with_user(self.users[role])
            with self.subTest(role=role), self.assertRaises(AccessError):
                events.create(self._prepare_event())
            with self.subTest(role=role, way="default"), self.assertRaises(AccessError):
                values = {**self._prepare_event(), "kickoff_order_id": None}
                values.pop("kickoff_order_id")
                events.with_context(default_kickoff_order_id=self.order.id).create(values)
            with self.subTest(role=role, way="onchange"), self.assertRaises(AccessError):
                defaults = events.with_context(default_kickoff_order_id=self.order.id)
                defaults.onchange({}, [], {"kickoff_order_id": {"fields": {"display_name": {}}}})
            event = events.create({**self._prepare_event(), "kickoff_order_id": False})
            with self.subTest(role=role, way="write"), self.assertRaises(AccessError):
                event.kickoff_order_id = self.order

    def test_nobody_else_takes_the_kickoff_away(self):
        event = self.env["calendar.event"].create(
            {**self._prepare_event(), "partner_ids": [Command.link(self.users["employee"].partner_id.id)]}
        )
        with self.assertRaises(AccessError):
            event.with_user(self.users["employee"]).kickoff_order_id = False

    def test_those_who_plan_it_do(self):
        event = self.env["calendar.event"].with_user(self.users["salesperson"]).create(self._prepare_event())
        event.write({"kickoff_order_id": self.order.id, "name": "Kickoff"})
        self.assertEqual(self.order._get_kickoff(), event)


NO_TOKENS = ("é", "٣", "9" * 5000, "%00", "[]")


@tagged("post_install", "-at_install")
class TestCredentials(ChangePortalCommon):
    """What is no token is a wrong token."""

    def test_pages_lead_away_whatever_the_token(self):
        for token in NO_TOKENS:
            for path in ("", "/signed_contract", "/change_requests", "/statement", "/changes", "/revisions/1"):
                address = f"/my/orders/{self.order.id}{path}?access_token={quote(token)}"
                with self.subTest(path=path, token=token[:9]):
                    response = self.url_open(address, allow_redirects=False)
                    self.assertIn(response.status_code, (302, 303, 404), address[:99])

    def test_links_of_mails_lead_away_whatever_the_token(self):
        for token in NO_TOKENS:
            address = f"/mail/view?model=sale.order&res_id={self.order.id}&access_token={quote(token)}"
            with self.subTest(token=token[:9]):
                self.assertLess(self.url_open(address, allow_redirects=False).status_code, 500)


@tagged("post_install", "-at_install")
class TestDiscussionCredentials(ProposalCommon, HttpCase):
    """The same for discussions of quotations, whose visitors have no login."""

    def test_discussions_open_for_credentials_only(self):
        milestone = self.design
        partner, token = self.order.partner_id, milestone._get_discussion_hash()
        known = milestone._get_discussion_hash(partner.id)
        wrong_people = ("9" * 5000, [1], {"a": 1}, -1, "٣" * 5000, True, None)
        for pid in wrong_people:
            self.assertFalse(milestone._opens_discussion(pid, "a" * 64))
            for key in (known, ["x"], {"x": 1}, "é", None):
                with self.subTest(pid=str(pid)[:9], hash=key):
                    # the token alone opens the discussion: whoever writes without a name is the client
                    answer = self._post_message(milestone, pid=pid, hash=key, token=token)
                    self.assertNotIn("error", answer)
                    answer = self._post_message(milestone, pid=pid, hash=key, token=["x"])
                    self.assertEqual(answer["error"]["data"]["name"], "werkzeug.exceptions.NotFound")

    def _post_message(self, milestone, **credentials):
        with mute_logger("odoo.http"):
            return self.url_open(
                "/mail/message/post",
                json={
                    "jsonrpc": "2.0",
                    "method": "call",
                    "params": {
                        "thread_model": "sale.milestone",
                        "thread_id": milestone.id,
                        "post_data": {"body": "x", "message_type": "comment"},
                        **credentials,
                    },
                },
            ).json()
