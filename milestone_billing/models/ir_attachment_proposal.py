from odoo import models
from odoo.exceptions import UserError


class IrAttachment(models.Model):
    """The PDF of a proposal is kept as it was sent."""

    _inherit = "ir.attachment"

    def _check_no_milestone_evidence(self):
        kept = self.sudo()._get_sent_proposals()
        if kept:
            raise UserError(
                self.env._(
                    "%(file)s is a proposal that was sent to the client: it is kept as it is.", file=kept[0].name
                )
            )
        return super()._check_no_milestone_evidence()

    def _get_sent_proposals(self):
        files = self.filtered(lambda attachment: attachment.res_model == "sale.order.revision")
        revisions = self.env["sale.order.revision"].browse(files.mapped("res_id")).exists()
        return files.filtered(lambda attachment: attachment.res_id in revisions.ids)

    def _unlink_orphaned_proposals(self):
        """Delete the files of revisions that went with their quotation."""
        (self - self._get_sent_proposals()).unlink()
