from odoo import models
from odoo.exceptions import UserError

from .signature_write import SIGNATURE_FIELDS, SignatureWrite


class IrAttachment(models.Model):
    """Signed contracts and their signatures are kept as they are."""

    _inherit = "ir.attachment"

    def _check_no_milestone_evidence(self):
        if order := self._get_signed_order():
            raise UserError(
                self.env._("The signed contract of %(order)s can be neither replaced nor deleted.", order=order.name)
            )
        return super()._check_no_milestone_evidence()

    def _get_signed_order(self):
        """Return an order whose signed contract, or one of whose signatures, is among these files.

        Signatures stay when the contract is cancelled: they prove what was agreed until then.
        """
        Order = self.env["sale.order"].sudo()
        signatures = self.sudo().filtered(
            lambda attachment: attachment.res_model == "sale.order" and attachment.res_field in SIGNATURE_FIELDS
        )
        signed = Order.browse(signatures.mapped("res_id")).exists()
        if SignatureWrite.is_under_way(self.env):  # the order itself checks when its signatures may go
            signed = signed.filtered(lambda order: order.state == "sale" and order.milestone_contract_hash)
        signed = signed.filtered(lambda order: order.signed_content_hash or order.milestone_contract_hash)[:1]
        return signed or (self and Order.search([("signed_document_ids", "in", self.ids)], limit=1)) or Order
