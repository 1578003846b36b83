import base64

from odoo import api, models
from odoo.exceptions import UserError

# What a file says, and where it belongs. Where and how its content is stored may change.
EVIDENCE_FIELDS = frozenset({"name", "type", "url", "res_model", "res_field", "res_id"})


class IrAttachment(models.Model):
    """Files that are presented for approval, and proofs and signatures of approvals, are evidence."""

    _inherit = "ir.attachment"

    def write(self, vals):
        if not {"raw", "datas", *EVIDENCE_FIELDS}.isdisjoint(vals):
            changed = self.filtered(lambda attachment: attachment._is_changed_by(vals))
            changed._check_no_milestone_evidence()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_milestone_evidence(self):
        self._check_no_milestone_evidence()

    def _is_changed_by(self, vals):
        attachment = self.sudo()
        if any((attachment[name] or False) != (vals[name] or False) for name in EVIDENCE_FIELDS.intersection(vals)):
            return True
        if "raw" not in vals and "datas" not in vals:
            return False
        content = vals["raw"] if "raw" in vals else base64.b64decode(vals["datas"] or b"")
        content = content.encode() if isinstance(content, str) else content or b""
        return attachment.checksum != attachment._compute_checksum(content)

    def _check_no_milestone_evidence(self):
        """:raises UserError: for files of what is under review or approved, and files of approvals"""
        kept = self.sudo().filtered(lambda attachment: attachment.res_model == "sale.approval")
        if self and not kept:
            deliverables = self.env["sale.milestone.deliverable"].sudo()
            shown = deliverables.search(
                [
                    ("attachment_ids", "in", self.ids),
                    ("milestone_id.state", "in", ("internal_review", "submitted", "approved")),
                ],
                limit=1,
            )
            requests = self.env["sale.change.request"].sudo()
            shown_requests = requests.search(
                [("attachment_ids", "in", self.ids), ("state", "in", ("internal_review", "submitted", "approved"))],
                limit=1,
            )
            kept = (shown.attachment_ids | shown_requests.attachment_ids) & self.sudo()
        if kept:
            raise UserError(
                self.env._(
                    "%(file)s was presented for approval, or is evidence of one: it is kept as it is.",
                    file=kept[0].name,
                )
            )
