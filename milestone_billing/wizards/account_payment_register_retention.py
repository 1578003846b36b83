from odoo import api, models


class AccountPaymentRegister(models.TransientModel):
    _inherit = "account.payment.register"

    @api.model
    def default_get(self, fields):
        """A payment pays what clients owe; a retention is paid once nothing else is chosen."""
        values = super().default_get(fields)
        for command in values.get("line_ids") or []:
            lines = self.env["account.move.line"].browse(command[2])
            trade = lines.filtered(lambda line: not line.retention_order_id)
            if trade and trade != lines:
                values["line_ids"] = [(6, 0, trade.ids)]
        return values
