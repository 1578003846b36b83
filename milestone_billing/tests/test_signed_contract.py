import hashlib
import json
from unittest.mock import patch

from lxml import html

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.base.models.ir_actions_report import IrActionsReport

from ..tools.contract_differences import MISSING, Item, find_differences
from .portal_common import draw_signature
from .test_countersign import CountersignCommon


@tagged("post_install", "-at_install")
class TestContractDifferences(CountersignCommon):
    """What the comparison of two contracts finds."""

    def _find(self, agreed, current):
        return [tuple(difference) for difference in find_differences(agreed, current)]

    def test_equal_contracts_have_no_difference(self):
        self.assertEqual(self._find({"a": [{"id": 1, "b": "x"}], "c": []}, {"c": [], "a": [{"id": 1, "b": "x"}]}), [])

    def test_records_are_compared_by_id_in_any_order(self):
        agreed = {"lines": [{"id": 1, "name": "A", "price": "1"}, {"id": 2, "name": "B", "price": "1"}]}
        current = {"lines": [{"id": 2, "name": "B", "price": "2"}, {"id": 1, "name": "A", "price": "1"}]}
        self.assertEqual(self._find(agreed, current), [(("lines", Item("B"), "price"), "1", "2")])

    def test_what_is_on_one_side_only_is_missing_on_the_other(self):
        item = {"id": 1, "name": "A"}
        self.assertEqual(self._find({"lines": [item]}, {"lines": []}), [(("lines", Item("A")), item, MISSING)])
        self.assertEqual(self._find({"lines": []}, {"lines": [item]}), [(("lines", Item("A")), MISSING, item)])
        self.assertEqual(self._find({}, {"cap": "1"}), [(("cap",), MISSING, "1")])

    def test_plain_lists_are_compared_as_a_whole(self):
        self.assertEqual(self._find({"taxes": [1, 2]}, {"taxes": [1]}), [(("taxes",), [1, 2], [1])])


class SignedCommon(CountersignCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls.quotation
        cls.order.write(
            {"order_line": [Command.create({"product_id": cls.product_a.id, "price_unit": 100.0, "name": "Extra"})]}
        )
        cls.extra = cls.order.order_line.filtered(lambda line: line.name == "Extra")
        cls.order._record_sent_revision()
        cls._sign_as_client()
        cls._countersign()

    @classmethod
    def _make_document(cls):
        with cls._cron_mode() as env:
            env["sale.order"]._cron_make_signed_documents()
        cls.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestSignedContract(SignedCommon):
    """The document is made once and kept."""

    def test_the_document_is_made_after_the_confirmation_and_kept(self):
        self.assertFalse(self.order.signed_document_id)
        self.assertTrue(self.order.signed_document_queued_on)
        self._make_document()
        document = self.order.signed_document_id
        self.assertEqual(self.order.signed_document_hash, hashlib.sha256(document.raw).hexdigest())
        self.assertFalse(self.order.signed_document_queued_on)
        self.assertFalse(self.order._verify_signed_contract())
        text = document.raw.decode()
        for part in (
            "Dora Director",
            "Approver",
            "Design",
            self.order.milestone_contract_hash,
            "Evidence of the Signatures",
            *(evidence["hash"] for evidence in self.order._get_contract_evidence()),
        ):
            self.assertIn(part, text)

    def test_the_document_shows_the_whole_plan_on_pages_of_one_article(self):
        self.order.milestone_plan_display = "none"
        self._make_document()
        text = self.order.signed_document_id.raw.decode()
        self.assertIn("Contrast AA", text)
        self.assertEqual(text.count('class="article'), 1, "several articles need a patched wkhtmltopdf")
        self.assertIn("page-break-before", text)

    def test_the_quotation_has_no_page_of_evidence(self):
        text = (
            self.env["ir.actions.report"]._render_qweb_html("sale.action_report_saleorder", self.order.ids)[0].decode()
        )
        self.assertNotIn("Evidence of the Signatures", text)
        self.assertIn("Dora Director", text)

    def _render(self, report):
        page = self.env["ir.actions.report"]._render_qweb_html(report, self.order.ids)[0].decode()
        return " ".join(html.fromstring(page).text_content().split())

    def test_the_signatures_stand_below_the_terms_and_their_times_are_in_utc(self):
        self.order.sudo()._write_protected({"note": "<p>General terms of business</p>"})
        terms = [{"title": "Review", "body": "<p>Ten days</p>"}]
        with patch.object(type(self.order), "_get_contract_terms", lambda order: terms):
            self.env.user.tz = "Asia/Tokyo"
            text = self._render("milestone_billing.report_signed_contract")
            quotation = self._render("sale.action_report_saleorder")
        self.assertRegex(text, r"10:00:00.{0,5} UTC", "the client signed at 10:00 UTC")
        self.assertEqual(text.count(" UTC"), 3)
        for page in (text, quotation):
            self.assertEqual(page.count("Dora Director"), 1 + (page is text))
            self.assertLess(page.index("Ten days"), page.index("Dora Director"))
            self.assertLess(page.index("General terms of business"), page.index("Dora Director"))

    def test_an_order_without_milestones_is_signed_where_odoo_has_it(self):
        plain = self.env["sale.order"].create({"partner_id": self.client_company.id})
        plain.write({"signed_by": "Ada", "signature": draw_signature()})
        page = self.env["ir.actions.report"]._render_qweb_html("sale.action_report_saleorder", plain.ids)[0]
        self.assertTrue(html.fromstring(page).xpath("//div[@name='signature']"))
        self.assertFalse(html.fromstring(page).xpath("//div[@name='contract_signatures']"))

    def test_the_document_is_made_and_sent_once(self):
        self._make_document()
        document = self.order.signed_document_id
        mails = self.order.message_ids.filtered(lambda message: document in message.attachment_ids)
        self.assertEqual(len(mails), 1)
        self.assertIn(self.client_company, mails.notified_partner_ids)
        self.assertIn(self.order.signed_document_hash, mails.body)
        self._make_document()
        self.order.sudo()._process_signed_document()
        self.order.sudo()._write_protected({"signed_document_queued_on": "2030-01-01"})
        self._make_document()
        self.assertEqual(self.order.signed_document_ids, document)
        self.assertEqual(len(self.order.message_ids.filtered(lambda message: message.attachment_ids)), 1)

    def test_nobody_replaces_or_deletes_the_document(self):
        self._make_document()
        document = self.order.signed_document_id
        for values in ({"raw": b"other"}, {"datas": b"b3RoZXI="}, {"name": "x.pdf"}, {"res_id": 1}, {"type": "url"}):
            with self.subTest(values=list(values)), self.assertRefused("neither replaced nor deleted"):
                document.sudo().write(values)
        with self.assertRefused("neither replaced nor deleted"):
            document.sudo().unlink()
        for name in ("signed_document_id", "signed_document_ids", "signed_document_hash"):
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.order.sudo().write({name: False})
        self.order._action_cancel()
        with self.assertRefused("evidence"):
            self.order.unlink()

    @mute_logger("odoo.addons.milestone_billing.models.sale_order_signed_document")
    def test_a_failed_rendering_is_tried_again_and_the_contract_is_valid(self):
        with patch.object(IrActionsReport, "_render_qweb_pdf", side_effect=UserError("No renderer")):
            self._make_document()
        self.assertEqual(self.order.state, "sale")
        self.assertFalse(self.order.signed_document_id)
        self.assertIn("No renderer", self.order.signed_document_error)
        self.assertFalse(self.order._verify_signed_contract())
        self._make_document()
        self.assertTrue(self.order.signed_document_id)
        self.assertFalse(self.order.signed_document_error)

    def test_a_document_that_cannot_be_made_keeps_nobody_waiting(self):
        self.order._write_protected({"signed_document_error": "No", "signed_document_queued_on": "2020-01-01"})
        other = self._create_contract([10.0], confirm=False)
        self._sign_as_client(other)
        self._countersign(other)
        done = []

        def process(order):
            done.append(order)

        with (
            patch.object(type(self.order), "_process_signed_document", process),
            patch.object(type(self.env["ir.cron"]), "_commit_progress", lambda *args, **kwargs: 0),
        ):
            self.env["sale.order"]._cron_make_signed_documents()
        self.assertEqual(done[0].signed_document_error, False)

    @mute_logger("odoo.addons.milestone_billing.models.sale_order_signed_document")
    def test_a_failed_mail_leaves_the_document(self):
        with patch.object(type(self.order), "_send_signed_document", side_effect=UserError("No mail")):
            self._make_document()
        document = self.order.signed_document_id
        self.assertTrue(document)
        self.assertFalse(self.order.signed_document_sent_on)
        self._make_document()
        self.assertEqual(self.order.signed_document_id, document)
        self.assertTrue(self.order.signed_document_sent_on)

    def test_a_contract_signed_again_has_a_new_document_beside_the_old(self):
        self._make_document()
        first = self.order.signed_document_id
        self.order._action_cancel()
        self.order.action_draft()
        self.design.contract_date = "2031-01-01"
        self.quotation._record_sent_revision()
        self._sign_as_client()
        self._countersign()
        self.assertFalse(self.order.signed_document_id)
        self._make_document()
        self.assertNotEqual(self.order.signed_document_id, first)
        self.assertEqual(len(self.order.signed_document_ids), 2)
        with self.assertRefused("neither replaced nor deleted"):
            first.unlink()

    def test_an_unsigned_contract_has_no_document(self):
        self.company.milestone_countersign = False
        order = self._create_contract([10.0])
        self._make_document()
        self.assertFalse(order.signed_document_queued_on or order.signed_document_id)
        with self.assertRefused("no signed contract"):
            order.action_download_signed_contract()

    def test_what_the_client_signed_alone_is_kept_too(self):
        self.company.milestone_countersign = False
        order = self._create_contract([10.0], confirm=False)
        self._sign_as_client(order)
        order.sudo()._validate_order()
        self._make_document()
        self.assertTrue(order.signed_document_id)
        self.assertEqual(len(order._get_contract_evidence()), 1)


@tagged("post_install", "-at_install")
class TestFrozenContract(SignedCommon):
    """What was signed changes by a change request only, the terms of the whole order by a new contract."""

    def test_nobody_changes_what_was_signed(self):
        screens = self.design.deliverable_ids
        line = self.design.order_line_ids
        changes = {
            "milestone name": lambda env: self.design.with_env(env).write({"name": "Other"}),
            "contract date": lambda env: self.design.with_env(env).write({"contract_date": "2031-01-01"}),
            "predecessors": lambda env: self.build.with_env(env).write({"predecessor_ids": [(4, self.design.id)]}),
            "deliverable name": lambda env: screens.with_env(env).write({"name": "Fewer screens"}),
            "criteria": lambda env: screens.with_env(env).write({"acceptance_criteria": "None"}),
            "deliverable moved": lambda env: screens.with_env(env).write({"milestone_id": self.build.id}),
            "deliverable deleted": lambda env: screens.with_env(env).unlink(),
            "line text": lambda env: line.with_env(env).write({"name": "Other"}),
            "line price": lambda env: line.with_env(env).write({"price_unit": 1.0}),
        }
        terms = {
            "payment terms": lambda env: self.order.with_env(env).write({"payment_term_id": self.pay_terms_b.id}),
            "terms": lambda env: self.order.with_env(env).write({"note": "<p>Ours</p>"}),
            "fiscal position": lambda env: self.order.with_env(env).write({"fiscal_position_id": self.fiscal_pos_a.id}),
            "review days": lambda env: self.order.with_env(env).write({"milestone_review_days": 1}),
            "client approval": lambda env: self.order.with_env(env).write(
                {"milestone_client_approval": False, "milestone_internal_review": True}
            ),
        }
        for role in ("salesperson", "sale_manager"):
            env = self.env(user=self.users[role])
            for name, change in {**changes, **terms}.items():
                with self.subTest(change=name, role=role), self.assertRaises(UserError) as caught:
                    change(env)
                if name != "deliverable deleted":
                    way_out = "new contract" if name in terms else "change request"
                    self.assertIn(way_out, str(caught.exception), name)

    def test_saving_the_same_again_is_no_change(self):
        self.design.write({"name": self.design.name, "contract_date": self.design.contract_date})
        self.design.deliverable_ids.write({"name": "Screens", "acceptance_criteria": "Contrast AA"})
        self.order.write({"note": self.order.note, "payment_term_id": self.order.payment_term_id.id})

    def test_what_was_not_signed_stays_free(self):
        order = self.order.with_user(self.users["salesperson"])
        order.client_order_ref = "PO 7"
        added = self.env["sale.milestone.deliverable"].create({"milestone_id": self.design.id, "name": "Detail"})
        added.with_user(self.users["salesperson"]).write({"name": "More detail", "acceptance_criteria": "Some"})
        self.assertFalse(added.is_agreed)
        self.assertFalse(self.order._verify_signed_contract())

    def test_another_delivery_address_leaves_the_fiscal_position(self):
        address = self.env["res.partner"].create({"name": "Abroad", "parent_id": self.client_company.id})
        address.property_account_position_id = self.fiscal_pos_a
        before = self.order.fiscal_position_id
        self.order.partner_shipping_id = address
        self.assertEqual(self.order.fiscal_position_id, before)

    def test_the_addon_itself_can_pass(self):
        self.design._write_protected({"contract_date": "2031-01-01"})
        self.design.deliverable_ids._write_protected({"name": "Agreed otherwise"})
        self.order._write_protected({"milestone_review_days": 20})
        self.assertIn("signed", self.order._verify_signed_contract())

    def test_is_agreed_is_set_by_the_agreement_only(self):
        with self.assertRaises(AccessError):
            self.design.deliverable_ids.is_agreed = False
        with self.assertRaises(AccessError):
            self.env["sale.milestone.deliverable"].create(
                {"milestone_id": self.design.id, "name": "Mine", "is_agreed": True}
            )


@tagged("post_install", "-at_install")
class TestVerifyContract(SignedCommon):
    """The verifier says in words what is not as it was signed."""

    def _verify(self, user=None):
        return self.order.with_user(user or self.users["salesperson"]).action_verify_contract()["params"]

    def test_an_untouched_contract_is_verified(self):
        self.assertEqual(self._verify()["type"], "success")
        self.assertIn("The order is what was signed.", self._verify()["message"])

    def _change(self, amount):
        self._apply({"milestone_id": self.build.id, "amount": amount})

    def _apply(self, line):
        request = self.env["sale.change.request"].create(
            {"order_id": self.order.id, "title": "More", "reason": "More", "line_ids": [Command.create(line)]}
        )
        request.action_submit()
        request._approve(self._evidence(request))
        self.env.invalidate_all()

    def _print(self):
        page = self.env["ir.actions.report"]._render_qweb_html("sale.action_report_saleorder", self.order.ids)[0]
        return " ".join(html.fromstring(page).text_content().split())

    def test_a_changed_contract_is_what_was_signed_with_its_change_orders(self):
        self.assertNotIn("original contract", self._print())
        self._change(500.0)
        params = self._verify()
        self.assertEqual(params["type"], "success")
        self.assertIn("The order is what was signed, with 1 change order.", params["message"])
        self.assertIn("1 change order since: revised contract", self._print())
        self._change(-200.0)
        self.assertIn("The order is what was signed, with 2 change orders.", self._verify()["message"])
        text = self._print()
        amounts = [self.order.currency_id.format(amount).replace("\xa0", " ") for amount in (3000.0, 3300.0)]
        self.assertIn(f"Signed on the original contract of {amounts[0]} (milestones, untaxed);", text)
        self.assertIn(f"2 change orders since: revised contract {amounts[1]}.", text)

    def test_what_administrators_changed_is_told_beside_the_change_orders(self):
        self._change(500.0)
        self.order.with_user(self.users["sale_manager"]).milestone_internal_review = True
        params = self._verify()
        self.assertEqual(params["type"], "warning")
        self.assertIn("what was signed, with 1 change order. What sales administrators may change", params["message"])

    def test_a_scope_that_was_detailed_is_told(self):
        signed = self.design.description
        self._apply({"milestone_id": self.build.id, "new_description": "<p>Two <b>languages</b>, <br>one shop</p>"})
        self._apply({"action": "add", "new_name": "Later", "amount": 5.0, "new_description": "<p>A third one</p>"})
        self.assertEqual(self._verify()["type"], "success")
        self.design.description = "<p>Nine screens</p>"
        self.build.description = "<p>One language</p>"
        params = self._verify()
        self.assertEqual(params["type"], "warning")
        self.assertIn("with 2 change orders. The scope was detailed since: Design, Build.", params["message"])
        self.design.description = signed
        self.assertIn("The scope was detailed since: Build.", self._verify()["message"])

    def test_users_of_the_portal_do_not_verify(self):
        portal = self.env["res.users"].create(
            {
                "partner_id": self.approver.id,
                "login": "verifier",
                "group_ids": [Command.set([self.env.ref("base.group_portal").id])],
            }
        )
        with self.assertRaises(AccessError):
            self.order.with_user(portal).action_verify_contract()

    def test_a_quotation_has_nothing_to_verify(self):
        quotation = self._create_contract([10.0], confirm=False)
        with self.assertRefused("no agreed contract"):
            quotation.action_verify_contract()

    def test_a_free_line_that_changed_is_named(self):
        self.extra.price_unit = 120.0
        message = self._verify()["message"]
        self.assertIn("price of “Extra”: signed", message)
        self.assertIn("100.00", message)
        self.assertIn("120.00", message)

    def test_lines_added_and_removed_are_named(self):
        line = self.order.order_line.create(
            {"order_id": self.order.id, "product_id": self.product_a.id, "name": "On top", "price_unit": 1.0}
        )
        self.assertIn("“On top” was not part of what was signed", self._verify()["message"])
        self._tamper("DELETE FROM sale_order_line WHERE id IN %s", [(line.id, self.extra.id)])
        self.assertIn("“Extra” was signed and is not there any more", self._verify()["message"])

    def test_down_payments_are_no_change(self):
        self.env["sale.order.line"].create(
            {
                "order_id": self.order.id,
                "product_id": self.product_a.id,
                "name": "Down payment",
                "is_downpayment": True,
                "product_uom_qty": 0.0,
                "price_unit": 50.0,
            }
        )
        self.assertEqual(self._verify()["type"], "success")

    def test_changes_behind_the_back_are_found(self):
        design, screens = self.design.id, self.design.deliverable_ids.id
        cases = [
            (
                "UPDATE sale_milestone SET contract_date = '2032-01-01' WHERE id = %s",
                design,
                "contract date of “Design”",
            ),
            ("UPDATE sale_milestone SET name = 'Sketch' WHERE id = %s", design, "name of “Design”"),
            (
                "UPDATE sale_milestone_deliverable SET acceptance_criteria = 'None' WHERE id = %s",
                screens,
                "acceptance criteria of “Design ‣ Screens”: signed “Contrast AA”, now “None”",
            ),
            ("UPDATE sale_order SET milestone_review_days = 1 WHERE id = %s", self.order.id, "review period"),
            ("UPDATE sale_order SET note = '<p>Ours</p>' WHERE id = %s", self.order.id, "terms and conditions"),
            ("UPDATE sale_order SET countersigned_on = '2031-01-01' WHERE id = %s", self.order.id, "countersignature"),
            ("UPDATE sale_order SET signed_by = 'Nobody' WHERE id = %s", self.order.id, "client's signature"),
            (
                "UPDATE sale_order SET milestone_contract = milestone_contract || ' ' WHERE id = %s",
                self.order.id,
                "agreed contract of .* was altered",
            ),
        ]
        for query, record_id, expected in cases:
            with self.subTest(query=query), self.env.cr.savepoint() as savepoint:
                self._tamper(query, [record_id])
                params = self._verify()
                self.assertEqual(params["type"], "danger")
                self.assertRegex(params["message"], expected)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_an_altered_signature_is_found(self):
        signature = self.env["ir.attachment"].search(
            [("res_model", "=", "sale.order"), ("res_field", "=", "countersignature"), ("res_id", "=", self.order.id)]
        )
        client = self.env["ir.attachment"].search(
            [("res_model", "=", "sale.order"), ("res_field", "=", "signature"), ("res_id", "=", self.order.id)]
        )
        with self.assertRefused("neither replaced nor deleted"):
            signature.raw = client.raw
        with self.assertRefused("neither replaced nor deleted"):
            signature.unlink()
        self._tamper(
            "UPDATE ir_attachment SET store_fname = %s, db_datas = %s WHERE id = %s",
            [client.store_fname or None, client.db_datas or None, signature.id],
        )
        self.assertIn("countersignature", self._verify()["message"])

    def test_an_altered_document_is_found(self):
        self._make_document()
        self.env["ir.attachment"].flush_model()
        other = self.env["ir.attachment"].create({"name": "other", "raw": b"forged"})
        self._tamper(
            "UPDATE ir_attachment SET store_fname = %s, db_datas = %s WHERE id = %s",
            [other.store_fname or None, other.db_datas or None, self.order.signed_document_id.id],
        )
        self.assertIn("the document, was altered", self._verify()["message"])

    def test_what_administrators_may_change_is_a_note(self):
        self.order.with_user(self.users["sale_manager"]).milestone_approver_ids = self.other_contact
        params = self._verify()
        self.assertEqual(params["type"], "warning")
        self.assertIn("approvers", params["message"])

    def test_contracts_agreed_before_keep_verifying(self):
        values = json.loads(self.order.milestone_contract)
        for key in ("version", "lines", "conditions", "tax", "countersign"):
            values.pop(key)
        for milestone in values["milestones"]:
            milestone.pop("deliverables")
        Approval = self.env["sale.approval"]
        text = Approval._dump_canonical(values)
        self.order.sudo()._write_protected(
            {"milestone_contract": text, "milestone_contract_hash": Approval._hash_text(text)}
        )
        self.assertEqual(self._verify()["type"], "success")
        self._tamper("UPDATE sale_milestone SET contract_date = '2032-01-01' WHERE id = %s", [self.design.id])
        self.assertIn("contract date", self._verify()["message"])

    def test_the_last_agreement_is_what_is_compared_with(self):
        values = json.loads(self.order.milestone_contract)
        values["milestones"][0]["contract_date"] = "2031-01-01"
        text = self.env["sale.approval"]._dump_canonical(values)
        self.design._write_protected({"contract_date": "2031-01-01"})
        self.assertEqual(self._verify()["type"], "danger")
        with patch.object(type(self.order), "_get_agreed_contract", lambda self: text):
            self.assertEqual(self._verify()["type"], "success")
