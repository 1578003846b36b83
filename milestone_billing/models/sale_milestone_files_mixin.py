from odoo import models


class SaleMilestoneFilesMixin(models.AbstractModel):
    """Documents whose files (``attachment_ids``) are readable exactly where the document is."""

    _name = "sale.milestone.files.mixin"
    _description = "Files that belong to their document"

    def _own_attachments(self, known=None):
        """Tie new files to their document.

        :param known: files that are no new ones
        :raises AccessError: when somebody attaches a file that they may not read themselves
        """
        for document in self:
            attachments = document.attachment_ids - (known or self.env["ir.attachment"])
            attachments.check_access("read")
            loose = attachments.sudo().filtered(lambda attachment: not attachment.res_id)
            loose.write({"res_model": self._name, "res_id": document.id})
