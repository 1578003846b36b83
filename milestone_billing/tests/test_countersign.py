from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from odoo.addons.account_payment.tests.common import AccountPaymentCommon

from .common import PIXEL, MilestoneCommon
from .portal_common import draw_signature


class CountersignCommon(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.milestone_countersign = True
        cls.env.user.group_ids -= cls.env.ref("milestone_billing.group_countersigner")
        cls.director = new_test_user(
            cls.env,
            login="milestone_director",
            name="Dora Director",
            groups="base.group_user,sales_team.group_sale_salesman_all_leads,milestone_billing.group_countersigner",
            email="director@company.example.com",
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )
        cls.quotation = cls._create_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 1000.0,
                    "contract_date": "2030-05-31",
                    "deliverable_ids": [
                        Command.create({"name": "Screens", "acceptance_criteria": "Contrast AA"}),
                    ],
                },
                {"name": "Build", "amount_untaxed": 2000.0},
            ],
            confirm=False,
        )
        cls.quotation.action_quotation_sent()
        cls.design, cls.build = cls.quotation.milestone_ids

    @classmethod
    def _sign_as_client(cls, order=None, name="Approver"):
        order = order or cls.quotation
        order.with_user(cls.env.ref("base.public_user")).sudo().write(
            {"signed_by": name, "signed_on": "2030-01-02 10:00:00", "signature": draw_signature()}
        )

    @classmethod
    def _countersign(cls, order=None, user=None):
        order = (order or cls.quotation).with_user(user or cls.director)
        action = order.action_countersign()
        dialog = cls.env["sale.order.countersign"].with_user(user or cls.director).with_context(**action["context"])
        dialog.create({"signature": draw_signature()}).action_confirm()

    def _commit(self):
        """What a commit does: the changes of the transaction are complete."""
        self.env.cr.flush()


@tagged("post_install", "-at_install")
class TestCountersign(CountersignCommon):
    """A contract that needs both signatures is confirmed by both, and by nothing else."""

    def test_the_policy_comes_from_the_company(self):
        self.assertTrue(self.quotation.milestone_countersign)
        self.company.milestone_countersign = False
        self.assertFalse(self._create_contract([10.0], confirm=False).milestone_countersign)

    def test_both_signatures_confirm_the_order(self):
        self._sign_as_client()
        self.assertEqual(self.quotation.state, "sent")
        self.assertTrue(self.quotation.milestone_to_countersign)
        self._countersign()
        self.assertEqual(self.quotation.state, "sale")
        self.assertEqual(self.quotation.countersigned_by, self.director)
        self.assertTrue(self.quotation.countersignature)
        self.assertFalse(self.quotation.milestone_to_countersign)
        self.assertIn('"countersigned_by":', self.quotation.milestone_contract.replace(" ", ""))
        self.assertFalse(self.quotation._verify_signed_contract())

    def test_countersigners_are_asked_and_asked_no_more(self):
        def asked():
            return self.quotation.activity_search(["milestone_billing.mail_activity_countersign"]).user_id

        self.assertFalse(asked())
        self._sign_as_client()
        self.assertIn(self.director, asked())
        self.assertNotIn(self.users["sale_manager"], asked())
        self._countersign()
        self.assertFalse(asked())

    def test_the_chosen_countersigner_is_asked_alone(self):
        self.quotation.milestone_countersigner_id = self.director
        self.env.ref("milestone_billing.group_countersigner").user_ids += self.users["sale_manager"]
        self._sign_as_client()
        asked = self.quotation.activity_search(["milestone_billing.mail_activity_countersign"]).user_id
        self.assertEqual(asked, self.director)

    def test_nobody_confirms_without_both_signatures(self):
        for role in ("salesperson", "sale_manager"):
            order = self.quotation.with_user(self.users[role])
            with self.subTest(role=role):
                with self.assertRefused("the client has not signed yet"):
                    order.action_confirm()
                with self.assertRefused("the client has not signed yet"):
                    order.write({"state": "sale"})
        self._sign_as_client()
        for role in ("salesperson", "sale_manager"):
            order = self.quotation.with_user(self.users[role])
            with self.subTest(role=role, signed=True):
                with self.assertRefused("waits for the countersignature"):
                    order.action_confirm()
                with self.assertRefused("waits for the countersignature"):
                    order.write({"state": "sale"})
        self.assertEqual(self.quotation.state, "sent")

    def test_the_clients_signature_alone_does_not_confirm(self):
        self._sign_as_client()
        self.quotation.sudo()._validate_order()
        self.assertEqual(self.quotation.state, "sent")

    def test_without_the_policy_orders_are_confirmed_as_ever(self):
        self.quotation.milestone_countersign = False
        self._sign_as_client()
        self.quotation.sudo()._validate_order()
        self.assertEqual(self.quotation.state, "sale")

    def test_orders_without_milestones_need_no_countersignature(self):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.client_company.id,
                "order_line": [Command.create({"product_id": self.milestone_product.id, "price_unit": 5.0})],
            }
        )
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_only_countersigners_countersign(self):
        self._sign_as_client()
        for role in ("salesperson", "sale_manager", "employee"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                self.quotation.with_user(self.users[role]).action_countersign()
            with self.subTest(role=role, direct=True), self.assertRaises(AccessError):
                self.quotation.with_user(self.users[role])._countersign(PIXEL, self.quotation.signed_content_hash)
            with self.subTest(role=role, dialog=True), self.assertRaises(AccessError):
                self.env["sale.order.countersign"].with_user(self.users[role]).create({"order_id": self.quotation.id})

    def test_the_company_signs_after_the_client_and_once(self):
        with self.assertRefused("the client has not signed yet"):
            self.quotation.with_user(self.director).action_countersign()
        self._sign_as_client()
        self._countersign()
        with self.assertRefused("countersigned already"):
            self.quotation.with_user(self.director).action_countersign()

    def test_a_blank_signature_is_none(self):
        self._sign_as_client()
        dialog = self.env["sale.order.countersign"].with_user(self.director)
        for signature in (False, draw_signature(line=False)):
            with self.subTest(signature=bool(signature)), self.assertRefused("signature is"):
                dialog.create({"order_id": self.quotation.id, "signature": signature}).action_confirm()
        self.assertFalse(self.quotation.countersigned_on)

    def test_what_was_shown_to_the_signer_is_what_is_signed(self):
        self._sign_as_client()
        dialog = (
            self.env["sale.order.countersign"]
            .with_user(self.director)
            .create({"order_id": self.quotation.id, "signature": draw_signature()})
        )
        self.design.name = "Something else"
        self._commit()
        self.quotation._record_sent_revision()
        self._sign_as_client()
        with self.assertRefused("changed since you opened it"):
            dialog.action_confirm()

    def test_only_administrators_waive_the_countersignature(self):
        salesperson = self.quotation.with_user(self.users["salesperson"])
        with self.assertRaises(AccessError):
            salesperson.milestone_countersign = False
        with self.assertRaises(AccessError):
            self.env["sale.order"].with_user(self.users["salesperson"]).create(
                {"partner_id": self.client_company.id, "milestone_countersign": False}
            )
        with self.assertRaises(AccessError):
            self.env["sale.order"].with_user(self.users["salesperson"]).with_context(
                default_milestone_countersign=False
            ).create({"partner_id": self.client_company.id})
        self.quotation.with_user(self.users["sale_manager"]).milestone_countersign = False
        self.assertFalse(self.quotation.milestone_countersign)

    def test_the_dialog_shows_nothing_of_orders_that_its_user_may_not_read(self):
        self.users["salesperson"].group_ids += self.env.ref("milestone_billing.group_countersigner")
        self.quotation.user_id = self.users["sale_manager"]
        self._sign_as_client()
        with self.assertRaises(AccessError):
            self.env["sale.order.countersign"].with_user(self.users["salesperson"]).create(
                {"order_id": self.quotation.id}
            )

    def test_the_policy_of_an_agreed_contract_stays(self):
        self._sign_as_client()
        self._countersign()
        with self.assertRefused("new contract"):
            self.quotation.with_user(self.users["sale_manager"]).milestone_countersign = False

    def test_signatures_are_set_by_signing_only(self):
        values = {
            "countersignature": PIXEL,
            "countersigned_by": self.director.id,
            "countersigned_on": "2030-01-01",
            "signed_content_hash": "0" * 64,
            "signature_recorded_by": self.director.id,
            "signed_document_hash": "0" * 64,
            "signed_document_id": False,
            "milestone_to_countersign": True,
        }
        for name, value in values.items():
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.quotation.write({name: value})
            with self.subTest(field=name, create=True), self.assertRaises(AccessError):
                self.env["sale.order"].create({"partner_id": self.client_company.id, name: value})
            order = (
                self.env["sale.order"]
                .with_context(**{f"default_{name}": value})
                .create({"partner_id": self.client_company.id})
            )
            self.assertFalse(order[name])

    def test_the_client_is_told_that_the_signature_is_void(self):
        self._sign_as_client()
        self.quotation.message_ids.unlink()
        self.design.amount_untaxed = 900.0
        self._commit()
        told = self.quotation.message_ids.filtered(lambda message: "does not count" in message.body)
        self.assertEqual(told.partner_ids, self.quotation.partner_id)
        self.assertFalse(told.subtype_id.internal)

    def test_a_change_voids_the_clients_signature(self):
        changes = {
            "amount": lambda: self.design.write({"amount_untaxed": 900.0}),
            "date": lambda: self.design.write({"contract_date": "2031-01-01"}),
            "deliverable": lambda: self.design.deliverable_ids.write({"acceptance_criteria": "Less"}),
            "new deliverable": lambda: self.design.write({"deliverable_ids": [Command.create({"name": "More"})]}),
            "line": lambda: self.design.order_line_ids.write({"name": "Other text"}),
            "new milestone": lambda: self.quotation.write(
                {"milestone_ids": [Command.create({"name": "More", "amount_untaxed": 5.0})]}
            ),
            "terms": lambda: self.quotation.write({"note": "<p>Other terms</p>"}),
        }
        for name, change in changes.items():
            self._sign_as_client()
            self.assertTrue(self.quotation.milestone_to_countersign)
            with self.subTest(change=name):
                change()
                self._commit()
                self.assertFalse(self.quotation.signature)
                self.assertFalse(self.quotation.signed_by)
                self.assertFalse(self.quotation.milestone_to_countersign)
                self.assertIn("the signature is void", self.quotation.message_ids[0].body)
                self.assertFalse(self.quotation._has_to_be_signed(), "it is being revised")
                self.quotation._record_sent_revision()
                self.assertTrue(self.quotation._has_to_be_signed())

    def test_what_is_not_signed_leaves_the_signature(self):
        self._sign_as_client()
        self.quotation.write({"client_order_ref": "PO 1", "milestone_plan_display": "detailed"})
        self.quotation.write({"note": self.quotation.note})
        self.design.write({"sequence": 5})
        self.design.write({"name": "Design"})
        self._commit()
        self.assertTrue(self.quotation.signature)
        self.quotation._record_sent_revision()
        self._countersign()
        self.assertEqual(self.quotation.state, "sale")

    def test_the_clients_signature_is_not_exchanged(self):
        self._sign_as_client()
        for values in ({"signed_by": "Somebody else"}, {"signature": PIXEL}, {"signed_on": "2031-01-01"}):
            with self.subTest(values=list(values)), self.assertRefused("stay as they are"):
                self.quotation.write(values)
        self._countersign()
        with self.assertRefused("stay as they are"):
            self.quotation.write({"signature": False, "signed_by": False})

    def test_a_signature_on_paper_is_recorded_with_the_name_of_who_did_it(self):
        self.quotation.with_user(self.users["salesperson"]).write(
            {"signed_by": "Approver", "signed_on": "2030-01-02", "signature": draw_signature()}
        )
        self.assertEqual(self.quotation.signature_recorded_by, self.users["salesperson"])
        self._countersign()
        self.assertIn("Recorded by", self.quotation._get_contract_evidence()[0]["method"])

    def test_back_to_quotation_takes_all_signatures_away(self):
        self._sign_as_client()
        self._countersign()
        self.quotation._action_cancel()
        self.quotation.action_draft()
        self.assertFalse(self.quotation.signature)
        self.assertFalse(self.quotation.countersigned_on)
        with self.assertRefused("the client has not signed yet"):
            self.quotation.action_confirm()

    def test_a_cancelled_quotation_asks_nobody(self):
        self._sign_as_client()
        self.quotation._action_cancel()
        self.assertFalse(self.quotation.activity_search(["milestone_billing.mail_activity_countersign"]))
        with self.assertRefused("does not wait"):
            self.quotation.with_user(self.director).action_countersign()

    def test_a_copy_is_signed_anew(self):
        self._sign_as_client()
        self._countersign()
        copy = self.quotation.copy()
        self.assertFalse(copy.countersigned_on or copy.signed_content_hash or copy.signed_document_id)
        self.assertTrue(copy.milestone_countersign)

    def test_the_countersignature_makes_the_client_sign_online(self):
        self.company.portal_confirmation_sign = False
        order = self._create_contract([10.0], confirm=False)
        self.assertTrue(order._has_to_be_signed())
        self.company.milestone_countersign = False
        order = self._create_contract([10.0], confirm=False)
        self.assertFalse(order._has_to_be_signed())
        order.milestone_countersign = True
        self.assertTrue(order._has_to_be_signed())
        order.require_signature = False
        self.assertFalse(order._has_to_be_signed(), "the client may sign on paper")


@tagged("post_install", "-at_install")
class TestCountersignPayment(CountersignCommon, AccountPaymentCommon):
    """A payment does not go round the signatures."""

    def _ask_for_payment(self):
        """The payment is part of the proposal: it is sent again."""
        self.quotation.write({"require_payment": True, "prepayment_percent": 1.0})
        self.quotation._record_sent_revision()

    def _prepay(self, order):
        transaction = self._create_transaction(
            "direct",
            sale_order_ids=[Command.set(order.ids)],
            partner_id=order.partner_id.id,
            amount=order.amount_total,
            currency_id=order.currency_id.id,
            state="done",
        )
        transaction._post_process()
        return transaction

    def test_a_paid_contract_waits_for_the_countersignature(self):
        self._ask_for_payment()
        self._sign_as_client()
        transaction = self._prepay(self.quotation)
        self.assertTrue(transaction.is_post_processed)
        self.assertEqual(self.quotation.state, "sent")
        self.assertIn("waits for the countersignature", "".join(self.quotation.message_ids.mapped("body")))
        self._countersign()
        self.assertEqual(self.quotation.state, "sale")

    def test_a_payment_for_a_plan_that_cannot_be_agreed_on_is_kept_and_told(self):
        self.quotation.milestone_countersign = False
        self._ask_for_payment()
        self.quotation.milestone_ids = [Command.create({"name": "Support"})]
        transaction = self._prepay(self.quotation)
        self.assertTrue(transaction.is_post_processed)
        self.assertTrue(transaction.payment_id)
        self.assertEqual(self.quotation.state, "sent")
        self.assertIn("The client paid. Support has no amount", "".join(self.quotation.message_ids.mapped("body")))
        self.quotation.milestone_ids[-1].unlink()
        self.quotation.action_confirm()
        self.assertEqual(self.quotation.state, "sale")

    def test_a_payment_without_the_clients_signature_confirms_nothing(self):
        self._ask_for_payment()
        self._prepay(self.quotation)
        self.assertEqual(self.quotation.state, "sent")
        self.assertTrue(self.quotation._has_to_be_signed())

    def test_what_is_being_revised_is_not_countersigned(self):
        self._sign_as_client()
        self.quotation.write({"require_payment": True, "prepayment_percent": 1.0})
        with self.assertRefused("Send it again"):
            self._countersign()

    def test_the_payment_confirms_what_both_have_signed(self):
        self._ask_for_payment()
        self._sign_as_client()
        self._countersign()
        self.assertEqual(self.quotation.state, "sent")
        self._prepay(self.quotation)
        self.assertEqual(self.quotation.state, "sale")

    def test_without_the_policy_the_payment_confirms(self):
        self.quotation.milestone_countersign = False
        self._ask_for_payment()
        self._prepay(self.quotation)
        self.assertEqual(self.quotation.state, "sale")
