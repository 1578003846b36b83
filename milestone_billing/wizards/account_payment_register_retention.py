from odoo import api, models


class AccountPaymentRegister(models.TransientModel):
    _inherit = "account.payment.register"

    @api.model
    def default_get(self, fields):
        """A payment pays what clients owe: the trade part, then what is released of retentions, then their rest."""
        values = super().default_get(fields)
        for command in values.get("line_ids") or []:
            lines = self.env["account.move.line"].browse(command[2])
            trade = lines.filtered(lambda line: not line.retention_order_id)
            owed = trade or lines.filtered(lambda line: line._get_retention_owed())
            if owed and owed != lines:
                values["line_ids"] = [(6, 0, owed.ids)]
        return values
