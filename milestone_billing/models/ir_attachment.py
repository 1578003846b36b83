import base64

from odoo import api, models
from odoo.exceptions import UserError

# What a file says, how it is shown, and where it belongs.
EVIDENCE_FIELDS = frozenset(
    {"name", "type", "url", "res_model", "res_field", "res_id", "mimetype", "checksum", "store_fname"}
)
# Where and how the content is stored may change, the content may not.
CONTENT_FIELDS = frozenset({"raw", "datas", "db_datas"})


def to_bytes(content):
    return content.encode() if isinstance(content, str) else content or b""


class IrAttachment(models.Model):
    """Files that are presented for approval, and proofs and signatures of approvals, are evidence."""

    _inherit = "ir.attachment"

    def write(self, vals):
        if not (CONTENT_FIELDS | EVIDENCE_FIELDS).isdisjoint(vals):
            self.check_access("write")  # who may not learns nothing of the file, nor whether a guess is right
            changed = self.filtered(lambda attachment: attachment._is_changed_by(vals))
            changed._check_no_milestone_evidence()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_milestone_evidence(self):
        self._check_no_milestone_evidence()

    def _is_changed_by(self, vals):
        attachment = self.sudo().with_context(bin_size=False)
        if any((attachment[name] or False) != (vals[name] or False) for name in EVIDENCE_FIELDS.intersection(vals)):
            return True
        if "db_datas" in vals and to_bytes(vals["db_datas"]) != to_bytes(attachment.db_datas):
            return True
        if "raw" not in vals and "datas" not in vals:
            return False
        content = to_bytes(vals["raw"]) if "raw" in vals else base64.b64decode(vals["datas"] or b"")
        return attachment.checksum != attachment._compute_checksum(content)

    def _check_no_milestone_evidence(self):
        """:raises UserError: for files of what was ever presented or is approved, and files of approvals"""
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
            # a round stays on record however it ended, and so do the files that its snapshot names
            rounds = self.env["sale.approval"].sudo().search([("presented_file_ids", "in", self.ids)], limit=1)
            kept = (shown.attachment_ids | shown_requests.attachment_ids | rounds.presented_file_ids) & self.sudo()
        if kept:
            raise UserError(
                self.env._(
                    "%(file)s was presented for approval, or is evidence of one: it is kept as it is.",
                    file=kept[0].name,
                )
            )
