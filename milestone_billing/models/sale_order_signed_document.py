import hashlib
import logging

from psycopg2 import OperationalError

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import plaintext2html

from .signature_write import SIGNATURE_FIELDS, SignatureWrite

_logger = logging.getLogger(__name__)

REPORT = "milestone_billing.action_report_signed_contract"
MAIL_TEMPLATE = "milestone_billing.mail_template_signed_contract"


class ContractChangedError(UserError):
    """The order is not what was signed any more, so that no document can show it."""


class SaleOrder(models.Model):
    """The signed contract as a document: made once, after the confirmation, kept, and sent to the client."""

    _inherit = "sale.order"

    signed_document_id = fields.Many2one(
        "ir.attachment", string="Signed Contract", readonly=True, copy=False, ondelete="restrict"
    )
    signed_document_ids = fields.Many2many(
        "ir.attachment",
        "sale_order_signed_document_rel",
        string="Signed Contracts",
        readonly=True,
        copy=False,
        bypass_search_access=True,
        help="All signed contracts; there is an earlier one when the order was taken back and signed again.",
    )
    signed_document_hash = fields.Char(
        string="Hash of the Document", readonly=True, copy=False, help="SHA-256 of the file."
    )
    signed_document_queued_on = fields.Datetime(readonly=True, copy=False, index="btree_not_null")
    signed_document_sent_on = fields.Datetime(string="Signed Contract Sent", readonly=True, copy=False)
    signed_document_error = fields.Text(
        string="Signed Contract not Made", readonly=True, copy=False, groups="base.group_user"
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {
            "signed_document_id",
            "signed_document_ids",
            "signed_document_hash",
            "signed_document_queued_on",
            "signed_document_sent_on",
            "signed_document_error",
        }

    def write(self, vals):
        return super(SaleOrder, self._mark_signature_write(vals)).write(vals)

    def _write_protected(self, vals):
        return super(SaleOrder, self._mark_signature_write(vals))._write_protected(vals)

    def _mark_signature_write(self, vals):
        return self if set(SIGNATURE_FIELDS).isdisjoint(vals) else SignatureWrite.mark(self)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_signed_document(self):
        if self.sudo().signed_document_ids:
            raise UserError(self.env._("Signed contracts are evidence: their orders cannot be deleted."))

    def _agree_contract(self):
        known = self.milestone_contract_hash
        result = super()._agree_contract()
        if self.signature and self.milestone_contract_hash != known:
            self._queue_signed_document()
        return result

    def _queue_signed_document(self):
        """Have the document made after the commit: rendering calls the server, which may wait for this request."""
        self.sudo()._write_protected(
            {
                "signed_document_id": False,
                "signed_document_hash": False,
                "signed_document_sent_on": False,
                "signed_document_error": False,
                "signed_document_queued_on": fields.Datetime.now(),
            }
        )
        self.env.ref("milestone_billing.ir_cron_signed_document").sudo()._trigger()

    @api.model
    def _cron_make_signed_documents(self):
        """Make and send the documents that wait for it, one by one; what fails is tried again."""
        orders = self.search(
            [("signed_document_queued_on", "!=", False), ("state", "=", "sale")],
            # a document that fails again and again keeps nobody else waiting
            order="signed_document_error NULLS FIRST, signed_document_queued_on, id",
        )
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(orders))
        for order in orders:
            order._process_signed_document()
            if not cron._commit_progress(1):
                return

    def _process_signed_document(self):
        """Make the document, then send it; each step stays done when the next one fails."""
        order = self.try_lock_for_update(allow_referencing=True).with_company(self.company_id)
        if not order or not order.signed_document_queued_on:
            return
        for step in (order._make_signed_document, order._send_signed_document):
            try:
                with self.env.cr.savepoint():
                    step()
            except OperationalError:
                raise  # a lock or a conflict with another transaction: the whole is tried again
            except ContractChangedError as error:
                order._note_contract_changed(str(error))
                return
            except Exception as error:
                _logger.warning("The signed contract of %s is not ready: %s", order.name, error, exc_info=True)
                order._write_protected({"signed_document_error": str(error) or type(error).__name__})
                return
        order._write_protected({"signed_document_queued_on": False, "signed_document_error": False})

    def _make_signed_document(self):
        """Render the contract as it was signed and keep it, once.

        :raises ContractChangedError: when the order shows something else by now
        """
        self.ensure_one()
        if self.signed_document_id:
            return
        if problem := self._get_document_obstacle():
            raise ContractChangedError(problem)
        content = self.env["ir.actions.report"]._render_qweb_pdf(REPORT, self.ids)[0]
        name = self.with_context(lang=self._get_lang()).env._("Signed contract %(order)s", order=self.name)
        document = self.env["ir.attachment"].create(
            {
                "name": f"{name}.pdf".replace("/", "_"),
                "raw": content,
                "mimetype": "application/pdf",
                "res_model": self._name,
                "res_id": self.id,
            }
        )
        self._write_protected(
            {
                "signed_document_id": document.id,
                "signed_document_ids": [Command.link(document.id)],
                "signed_document_hash": hashlib.sha256(content).hexdigest(),
            }
        )

    def _get_document_obstacle(self):
        """Return why the order does not show what was signed any more, in words, or an empty string.

        The document is rendered from the order, beside signatures and hash of what was signed: it must not
        show another sum.
        """
        self.ensure_one()
        order = self.with_context(lang=self._get_document_reader().lang)
        if order._get_agreed_contract() != order.sudo().milestone_contract:
            return order.env._(
                "A change order was applied to %(order)s before the document was made, so that the order does not "
                "show what was signed any more. Agree with the client on how to record the signed version: the "
                "quotation that was sent, and the change order, are kept with the order.",
                order=order.name,
            )
        return order._verify_signed_contract()

    def _get_document_reader(self):
        """Return the user who is told when there is no document (may be empty)."""
        self.ensure_one()
        return (self.user_id | self._get_delivery_manager()).filtered("active")[:1]

    def _note_contract_changed(self, problem):
        """Tell the team once that the signed contract cannot be made, and why."""
        self.ensure_one()
        if self.signed_document_error == problem:
            return
        self._write_protected({"signed_document_error": problem})
        user = self._get_document_reader()
        order = self.with_context(lang=user.lang)
        summary = order.env._("The signed contract of %(order)s cannot be made", order=order.name)
        note = f"{summary}: {problem}"
        order.message_post(body=note, subtype_xmlid="mail.mt_note")
        if user:
            order.activity_schedule(
                "mail.mail_activity_data_todo", user_id=user.id, summary=summary, note=plaintext2html(problem)
            )

    def _send_signed_document(self):
        """Send the client the signed contract, once."""
        self.ensure_one()
        template = self.env.ref(MAIL_TEMPLATE, raise_if_not_found=False)
        if self.signed_document_sent_on or not template:
            return
        self.with_user(SUPERUSER_ID).message_post_with_source(
            template,
            email_layout_xmlid="mail.mail_notification_layout_with_responsible_signature",
            subtype_xmlid="mail.mt_comment",
            attachment_ids=self.signed_document_id.ids,
        )
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
        self._write_protected({"signed_document_sent_on": fields.Datetime.now()})

    def action_download_signed_contract(self):
        """Open the signed contract.

        :raises UserError: when there is none
        """
        self.ensure_one()
        self.check_access("read")
        document = self.sudo().signed_document_id
        if not document:
            raise UserError(self.env._("There is no signed contract of %(order)s.", order=self.name))
        return {"type": "ir.actions.act_url", "url": f"/web/content/{document.id}?download=true", "target": "download"}

    # -- verification -----------------------------------------------------------------------------------------

    def _verify_contract(self):
        return super()._verify_contract() or self._verify_signed_document()

    def _verify_signed_document(self):
        """Return what is wrong with the kept document, or an empty string."""
        self.ensure_one()
        order = self.sudo()
        if not order.signed_document_hash:
            return ""
        content = order.signed_document_id.raw or b""
        if hashlib.sha256(content).hexdigest() != order.signed_document_hash:
            return self.env._("The signed contract of %(order)s, the document, was altered.", order=order.name)
        return ""

    def _get_contract_evidence(self):
        """Return who did what when, each with the hash that proves it, for the evidence page."""
        self.ensure_one()
        order = self.sudo()
        hashed = order._prepare_contract_values()
        evidence = [
            {
                "title": self.env._("Signature of the client"),
                "name": order.signed_by,
                "on": order.signed_on,
                "method": self.env._(
                    "Recorded by %(user)s of %(company)s",
                    user=order.signature_recorded_by.name,
                    company=order.company_id.name,
                )
                if order.signature_recorded_by
                else self.env._("Signed online, on the page of the quotation"),
                "hash": hashed["signature"],
            }
        ]
        if order.countersigned_on:
            evidence.append(
                {
                    "title": self.env._("Countersignature of %(company)s", company=order.company_id.name),
                    "name": order.countersigned_by.name,
                    "on": order.countersigned_on,
                    "method": self.env._("Signed with a login that has the right to sign for the company"),
                    "hash": hashed["countersignature"],
                }
            )
        return evidence
