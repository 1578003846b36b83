import json
from datetime import date, timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .proposal_common import ProposalCommon


@tagged("post_install", "-at_install")
class TestRevision(ProposalCommon):
    """What is sent to the client is kept as it was, and only that can be signed."""

    # -- when there is a new revision --------------------------------------------------------------------

    def test_sending_makes_revision_1_and_sending_the_same_again_makes_none(self):
        self.assertEqual(self.order.revision_status, "Revision 1, not sent yet")
        revision = self._send()
        self.assertEqual((revision.number, revision.sent_by), (1, self.salesperson))
        self.assertEqual(self.order.state, "sent")
        self.assertEqual(self.order.revision_status, "Revision 1")
        self.assertFalse(self.order.is_being_revised)
        self.assertEqual(self._send(), revision)
        self.assertEqual(self.order.revision_count, 1)

    def test_the_status_stays_on_the_screen_while_somebody_types(self):
        """What is typed counts once it is saved; the page would move under the mouse if the line went meanwhile."""
        self._send()
        with Form(self.order.with_user(self.salesperson)) as form:
            with form.milestone_ids.edit(0) as milestone:
                milestone.contract_date = date(2040, 1, 1)
            self.assertEqual(form.revision_status, "Revision 1")
        self.assertEqual(self.order.revision_status, "Revision 2, not sent yet")

    def test_marking_as_sent_makes_a_revision_too(self):
        self.order.with_user(self.salesperson).action_quotation_sent()
        self.assertEqual(self.order.revision_ids.number, 1)
        self.assertTrue(self.order.revision_ids.document_id)

    def test_a_plain_message_makes_none(self):
        self.order.with_user(self.salesperson).message_post(body="Hello")
        self.assertFalse(self.order.revision_ids)

    def test_an_added_milestone_is_described_with_date_and_deliverables(self):
        first = self._send()
        values = {"name": "Launch", "amount_untaxed": 5.0, "contract_date": date(2030, 6, 30)}
        values["deliverable_ids"] = [Command.create({"name": "Party"})]
        self.order.write({"milestone_ids": [Command.create(values)]})
        second = self._send()
        told = {row["what"]: row["after"] for row in second._describe_changes(first) if row["kind"] == "Added"}
        self.assertEqual(told["Milestone Launch: date"], "06/30/2030")
        self.assertEqual(told["Deliverable Party of Launch"], "Party")
        self.assertIn("5.00", told["Milestone Launch"])

    def test_every_change_of_the_proposal_makes_revision_2(self):
        changes = {
            "price": lambda: setattr(self.design, "amount_untaxed", 1100.0),
            "name": lambda: setattr(self.design, "name", "Concept"),
            "scope": lambda: setattr(self.design, "description", "<p>All screens</p>"),
            "date": lambda: setattr(self.build, "contract_date", date(2030, 4, 30)),
            "order of milestones": lambda: setattr(self.build, "sequence", 0),
            "predecessor": lambda: setattr(self.build, "predecessor_ids", self.design),
            "deliverable": lambda: self.design.write({"deliverable_ids": [Command.create({"name": "Prototype"})]}),
            "criteria": lambda: setattr(self.design.deliverable_ids[:1], "acceptance_criteria", "Contrast AAA"),
            "milestone": lambda: self.order.write(
                {"milestone_ids": [Command.create({"name": "Launch", "amount_untaxed": 5.0})]}
            ),
            "no milestone": lambda: self.build.unlink(),
            "quantity": lambda: setattr(self._get_travel(), "product_uom_qty", 4.0),
            "discount": lambda: setattr(self._get_travel(), "discount", 10.0),
            "taxes": lambda: setattr(self._get_travel(), "tax_ids", self.tax_20),
            "line": lambda: self.order.write({"order_line": [Command.create({"product_id": self.product_b.id})]}),
            "review period": lambda: setattr(self.order, "milestone_review_days", 5),
            "approvers": lambda: setattr(self.order, "milestone_approver_ids", self.other_contact),
            "advance": lambda: self.order.write(
                {"milestone_advance_type": "percentage", "milestone_advance_percentage": 10.0}
            ),
            "retention": lambda: setattr(self.order, "milestone_retention_percentage", 5.0),
            "cap": lambda: setattr(self.order, "milestone_cap_amount", 9000.0),
            "payment term": lambda: setattr(self.order, "payment_term_id", self.pay_terms_b),
            "note": lambda: setattr(self.order, "note", "<p>By the book</p>"),
            "terms": lambda: setattr(self.order, "milestone_contract_template_id", self.terms.copy()),
        }
        first = self._send()
        for name, change in changes.items():
            with self.subTest(change=name), self.env.cr.savepoint() as savepoint:
                change()
                self.env.flush_all()
                self.env.invalidate_all()
                self.assertTrue(self.order.is_being_revised)
                self.assertEqual(self.order.revision_status, "Revision 2, not sent yet")
                revision = self._send()
                self.assertEqual(revision.number, 2)
                self.assertFalse(self.order.is_being_revised)
                self.assertTrue(revision._get_changes(first), "and the difference tells it")
                savepoint.rollback()
            self.env.invalidate_all()

    def _get_travel(self):
        return self.order.order_line.filtered(lambda line: line.name == "Travel")

    def test_what_is_no_part_of_the_proposal_makes_no_revision(self):
        self._send()
        self.tax_15.name = "VAT"
        self.client_company.name = "Client Ltd"
        self.order.write(
            {
                "validity_date": fields.Date.today() + timedelta(days=90),
                "client_order_ref": "PO 1",
                "milestone_internal_review": True,
                "milestone_plan_display": "detailed",
            }
        )
        self.terms.line_ids[0].body = "<p>Other words</p>"
        self.env.invalidate_all()
        self.assertFalse(self.order.is_being_revised)

    def test_a_change_that_is_taken_back_is_none(self):
        self._send()
        self.design.contract_date = date(2031, 1, 1)
        self.assertTrue(self.order._is_being_revised())
        self.design.contract_date = date(2030, 1, 31)
        self.assertFalse(self.order._is_being_revised())

    def test_options_that_the_client_chooses_in_the_portal_make_no_revision(self):
        self.order.order_line = [
            Command.create({"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 900}),
            Command.create({"product_id": self.product_b.id, "product_uom_qty": 0.0, "sequence": 901}),
        ]
        option = self.order.order_line.filtered(lambda line: line.product_id == self.product_b)
        self.assertTrue(option._is_line_optional())
        self._send()
        option.product_uom_qty = 2.0
        self.assertFalse(self.order._is_being_revised())
        option.price_unit = 1.0
        self.assertTrue(self.order._is_being_revised())

    def test_options_leave_the_advance_that_is_paid_to_accept_as_it_is(self):
        section = {"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 900}
        option = {"product_id": self.product_a.id, "product_uom_qty": 0.0, "sequence": 901}
        self.order.write(
            {
                "order_line": [Command.create(section), Command.create(option)],
                "require_payment": True,
                "milestone_advance_type": "percentage",
                "milestone_advance_percentage": 30.0,
            }
        )
        option = self.order.order_line.filtered(lambda line: not (line.display_type or line.product_uom_qty))
        revision = self._send()
        required = self.order._get_prepayment_required_amount()
        option.product_uom_qty = 20.0
        self.assertEqual(self.order._get_prepayment_required_amount(), required)
        self.assertFalse(self.order._is_being_revised())
        self.order.milestone_advance_percentage = 20.0
        self.assertTrue(self.order._is_being_revised())
        self.order.milestone_advance_percentage = 30.0
        self.assertEqual(self.order._get_current_revision(), revision)

    def test_a_revision_that_names_the_share_of_the_advance_is_still_current(self):
        """Earlier versions kept the share of the order that the advance is."""
        self.order.write(
            {
                "require_payment": True,
                "milestone_advance_type": "percentage",
                "milestone_advance_percentage": 30.0,
            }
        )
        with patch.object(type(self.order), "_prepays_advance", lambda order: False):
            revision = self._send()
        self.assertRegex(revision._read_snapshot()["conditions"]["prepayment"], r"^0\.\d{4}$")
        self.assertEqual(self.order._get_current_revision(), revision)
        self.design.contract_date = date(2031, 1, 1)
        changes = self._send()._get_changes(revision)
        self.assertEqual([(change.subject, change.field) for change in changes], [("milestone", "contract_date")])

    def test_a_plan_that_cannot_be_agreed_on_is_not_sent(self):
        self.order.milestone_ids = [Command.create({"name": "Support"})]
        self.assertIn("Support has no amount", self.order.milestone_plan_error)
        order = self.order.with_user(self.salesperson)
        for send in (order.action_quotation_send, order.action_quotation_sent, lambda: self._send(order)):
            with self.assertRefused("not sent: the client could not accept it. Support has no amount"):
                send()
        self.assertFalse(self.order.revision_ids)
        self.order.milestone_ids[-1].amount_untaxed = 10.0
        self.assertFalse(self.order.milestone_plan_error)
        order.action_quotation_send()
        self.assertTrue(self._send())

    def test_orders_without_milestones_are_as_in_odoo(self):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.client_company.id,
                "user_id": self.salesperson.id,
                "order_line": [Command.create({"product_id": self.product_a.id, "price_unit": 10.0})],
            }
        )
        self.assertFalse(self._send(order))
        order.order_line.price_unit = 20.0
        self.assertTrue(order._has_to_be_signed())
        self.assertFalse(order.revision_status)
        self.assertTrue(order._is_latest_revision(None))

    def test_a_quotation_that_lost_its_milestones_is_being_revised(self):
        self._send()
        self.order.milestone_ids.unlink()
        self.assertTrue(self.order._is_being_revised())
        self.assertEqual(self._send().number, 2)

    def test_who_may_not_write_the_order_makes_no_revision(self):
        self.order.user_id = self.users["sale_manager"]
        with self.assertRaises(AccessError):
            self.order.with_user(self.salesperson).action_quotation_sent()
        self.assertFalse(self.order.with_user(self.users["employee"])._record_sent_revision())

    # -- what is kept -------------------------------------------------------------------------------------

    def test_a_revision_says_what_was_sent_and_its_hash_is_that_of_the_text(self):
        revision = self._send()
        snapshot = json.loads(revision.snapshot)
        self.assertEqual(revision.snapshot_hash, self.env["sale.approval"]._hash_text(revision.snapshot))
        self.assertEqual([row["name"] for row in snapshot["milestones"]], ["Design", "Build"])
        self.assertEqual(snapshot["milestones"][0]["contract_date"], "2030-01-31")
        self.assertEqual(snapshot["milestones"][0]["figures"], {"untaxed": "1000.00", "total": "1150.00"})
        self.assertEqual(snapshot["milestones"][0]["deliverables"][0]["acceptance_criteria"], "Contrast AA")
        self.assertEqual(snapshot["figures"]["untaxed"], "3300.00")
        self.assertEqual([clause["title"] for clause in snapshot["terms"]], ["Review"])
        self.assertIn("10 days", snapshot["terms"][0]["body"])
        self.design.amount_untaxed = 5000.0
        self.env.invalidate_all()
        self.assertEqual(json.loads(revision.snapshot), snapshot)
        self.assertIn("1,000.00", revision.content)
        self.assertNotIn("5,000.00", revision.content)

    def test_nobody_writes_makes_or_deletes_a_revision(self):
        revision = self._send()
        values = {
            "order_id": self.order.id,
            "number": 9,
            "sent_on": fields.Datetime.now(),
            "sent_by": self.env.uid,
            "snapshot": "{}",
            "snapshot_hash": "x",
            "content_hash": "x",
        }
        for env in (self.env(user=self.salesperson), self.env(user=self.users["sale_manager"]), self.env(su=True)):
            for attempt in (
                lambda env: env["sale.order.revision"].create(values),
                lambda env: revision.with_env(env).write({"snapshot": "{}"}),
                lambda env: revision.with_env(env).unlink(),
                lambda env: self.order.with_env(env).write({"revision_ids": [Command.clear()]}),
                lambda env: self.order.with_env(env).write({"agreed_revision_id": revision.id}),
            ):
                with self.assertRaises(AccessError), self.env.cr.savepoint():
                    attempt(env)

    def test_a_default_of_the_context_gets_into_nothing(self):
        order = self.order.with_context(
            default_number=7, default_note="x", default_snapshot="x", default_agreed_revision_id=1
        )
        self._send(order)
        self.assertEqual((self.order.revision_ids.number, self.order.revision_ids.note), (1, False))

    def test_the_pdf_of_the_mail_is_kept_and_no_other_is_made(self):
        with self._count_renderings() as rendered:
            revision = self._send(
                attachments=[
                    ("Leaflet.pdf", b"%PDF-1.4 leaflet"),
                    (f"Quotation - {self.order.name}.pdf", b"%PDF-1.4 sent"),
                ]
            )
        self.assertFalse(rendered.called)
        self.assertEqual(revision.document_id.raw, b"%PDF-1.4 sent")
        self.assertIn("revision 1.pdf", revision.document_id.name)

    def test_without_a_pdf_in_the_mail_one_is_made(self):
        with self._count_renderings() as rendered:
            revision = self._send()
        self.assertEqual(rendered.call_count, 1)
        self.assertEqual(revision.document_id.raw, b"%PDF-1.4 made")

    def test_the_pdf_is_kept_as_it_was_sent(self):
        document = self._send().document_id
        for attempt in (
            lambda: document.write({"raw": b"other"}),
            lambda: document.write({"name": "other.pdf"}),
            lambda: document.write({"res_id": 0}),
            lambda: document.unlink(),
        ):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                attempt()

    def _keep_other_documents(self):
        """Make the PDFs that quotations of the database (demo data) wait for."""
        with self._count_renderings(), self._cron_mode() as env:
            env["sale.order.revision"]._cron_keep_documents()

    def test_a_payment_makes_no_pdf_in_the_request_of_the_client(self):
        self._keep_other_documents()
        with self._count_renderings() as rendered:
            self.order.sudo().action_quotation_sent()
            self.assertFalse(rendered.called)
            self.assertFalse(self.order.revision_ids.document_id)
            with self._cron_mode() as env:
                env["sale.order.revision"]._cron_keep_documents()
            self.assertEqual(rendered.call_count, 1)
        self.env.invalidate_all()
        self.assertTrue(self.order.revision_ids.document_id)

    def test_no_pdf_is_made_of_something_else_than_what_was_sent(self):
        self._keep_other_documents()
        self.order.sudo().action_quotation_sent()
        self.design.amount_untaxed = 5000.0
        with self._count_renderings() as rendered, self._cron_mode() as env:
            env["sale.order.revision"]._cron_keep_documents()
            self.assertFalse(rendered.called)

    @mute_logger("odoo.addons.milestone_billing.models.sale_order_revision")
    def test_a_quotation_is_sent_though_its_pdf_cannot_be_made_and_that_is_tried_again(self):
        with self._count_renderings() as rendered:
            rendered.side_effect = UserError("no wkhtmltopdf")
            revision = self._send()
        self.assertEqual(self.order.state, "sent")
        self.assertFalse(revision.document_id)
        trigger = self.env["ir.cron.trigger"].search(
            [("cron_id", "=", self.env.ref("milestone_billing.ir_cron_proposal_documents").id)]
        )
        self.assertTrue(trigger)

    def test_a_copy_has_no_revisions_and_a_deleted_quotation_takes_them_along(self):
        revision = self._send()
        document = revision.document_id
        self.assertFalse(self.order.copy().revision_ids)
        self.order._action_cancel()
        self.order.unlink()
        self.assertFalse(revision.exists())
        self.assertFalse(document.exists())

    # -- what changed ---------------------------------------------------------------------------------------

    def test_the_difference_reads_well(self):
        first = self._send()
        self.design.write({"amount_untaxed": 1100.0, "contract_date": date(2030, 2, 28)})
        self.order.milestone_review_days = 5
        self.order.milestone_ids = [Command.create({"name": "<b>Launch</b>", "amount_untaxed": 50.0, "sequence": 9})]
        second = self._send()
        rows = {row["what"]: (row["kind"], row["before"], row["after"]) for row in second._describe_changes(first)}
        self.assertEqual(rows["Milestone Design: date"], ("Changed", "01/31/2030", "02/28/2030"))
        self.assertEqual(
            rows["Milestone Design: untaxed amount"],
            ("Changed", self.order.currency_id.format(1000.0), self.order.currency_id.format(1100.0)),
        )
        self.assertEqual(rows["Milestone <b>Launch</b>"], ("Added", "", self.order.currency_id.format(50.0)))
        self.assertEqual(rows["Clause Review"], ("Changed", "You have 10 days.", "You have 5 days."))
        self.assertIn("5 days", rows["Review and approval"][2])
        self.assertEqual(second.change_count, len(rows))
        self.assertNotIn("<b>Launch", second.difference)
        self.assertIn("&lt;b&gt;Launch", second.difference)
        self.assertNotIn("<b>Launch", second.content)
        self.assertFalse(first.difference)

    def test_any_two_revisions_are_compared_in_the_dialog(self):
        for amount in (1000.0, 1100.0, 1200.0):
            self.design.amount_untaxed = amount
            self._send()
        order = self.order.with_user(self.salesperson)
        action = order.action_compare_revisions()
        dialog = self.env[action["res_model"]].with_user(self.salesperson).with_context(**action["context"]).create({})
        self.assertEqual((dialog.before_id.number, dialog.after_id.number), (2, 3))
        self.assertIn("1,100.00", dialog.difference)
        dialog.before_id = order.revision_ids.filtered(lambda revision: revision.number == 1)
        self.assertIn("1,000.00", dialog.difference)
        other = self._create_contract([10.0], confirm=False, user_id=self.users["sale_all"].id)
        dialog.sudo().before_id = self._send(other, self.users["sale_all"])
        self.assertFalse(dialog.difference, "of another quotation")

    def test_a_salesperson_reads_no_revisions_of_others(self):
        self._send()
        self.order.user_id = self.users["sale_all"]
        self.assertFalse(self.env["sale.order.revision"].with_user(self.salesperson).search([]))
        with self.assertRaises(AccessError):
            self.env["sale.order.revision"].with_user(self.users["employee"]).search([])

    # -- signature and confirmation -------------------------------------------------------------------------

    def test_what_is_being_revised_cannot_be_signed_or_paid_until_it_is_sent(self):
        self.order.require_payment = True
        revision = self._send()
        self.assertTrue(self.order._has_to_be_signed() and self.order._has_to_be_paid())
        self.assertTrue(self.order._is_latest_revision(revision.snapshot_hash))
        self.design.amount_untaxed = 900.0
        self.assertFalse(self.order._has_to_be_signed() or self.order._has_to_be_paid())
        self.assertFalse(self.order._is_confirmation_amount_reached())
        self.assertFalse(self.order._is_latest_revision(revision.snapshot_hash))
        newer = self._send()
        self.assertTrue(self.order._has_to_be_signed())
        self.assertFalse(self.order._is_latest_revision(revision.snapshot_hash))
        self.assertFalse(self.order._is_latest_revision(None))
        self.assertTrue(self.order._is_latest_revision(newer.snapshot_hash))

    def test_the_contract_names_the_revision_that_was_agreed(self):
        revision = self._send()
        self.order.action_confirm()
        self.assertEqual(self.order.agreed_revision_id, revision)
        self.assertEqual(self.order.revision_status, "Revision 1, agreed")
        contract = json.loads(self.order.sudo().milestone_contract)
        self.assertEqual(contract["revision"], {"number": 1, "hash": revision.snapshot_hash})
        self.assertFalse(self.order._verify_contract())

    def test_what_was_changed_and_confirmed_without_sending_is_no_revision(self):
        self._send()
        self.design.amount_untaxed = 900.0
        self.order.action_confirm()
        self.assertFalse(self.order.agreed_revision_id)
        self.assertFalse(self.order.revision_status)
        self.assertNotIn("revision", json.loads(self.order.sudo().milestone_contract))

    def test_sending_a_confirmed_order_makes_no_revision(self):
        self._send()
        self.order.action_confirm()
        self._get_travel().product_uom_qty = 5.0
        self._send()
        self.assertEqual(self.order.revision_count, 1)

    def test_the_pdf_names_its_revision(self):
        def read_number():
            content = self.env["ir.actions.report"]._render_qweb_html("sale.action_report_saleorder", self.order.ids)[0]
            text = content.decode()
            start = text.index('name="revision"')
            return "".join(char for char in text[start + 15 : start + 120] if char.isdigit())

        self.assertEqual(read_number(), "1")
        self._send()
        self.assertEqual(read_number(), "1")
        self.design.amount_untaxed = 900.0
        self.assertEqual(read_number(), "2", "the number that sending gives it")
        self._send()
        self.order.action_confirm()
        self.assertEqual(read_number(), "2")

    def test_the_mail_of_a_revision_leads_to_it(self):
        self._send()
        mail = self.env["mail.mail"].sudo().search([("model", "=", "sale.order"), ("res_id", "=", self.order.id)])
        self.assertIn("revision=1", "".join(mail.mapped("body_html")))
