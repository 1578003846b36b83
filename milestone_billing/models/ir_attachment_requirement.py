from odoo import models
from odoo.exceptions import UserError


class IrAttachment(models.Model):
    """Files of agreed requirements are part of what is agreed."""

    _inherit = "ir.attachment"

    def _check_no_milestone_evidence(self):
        super()._check_no_milestone_evidence()
        files = self.sudo().filtered(lambda file: file.res_model == "sale.requirement" and file.res_id)
        requirements = self.env["sale.requirement"].sudo().browse(files.mapped("res_id")).exists()
        agreed = requirements.filtered(lambda requirement: not requirement.is_open)
        for file in files & agreed.attachment_ids:
            raise UserError(
                self.env._("%(file)s belongs to a requirement that is agreed with the client.", file=file.name)
            )
