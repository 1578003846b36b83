from odoo import models


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    def reverse_moves(self, is_modify=False):
        """ "Reverse and create invoice" is the decision to bill the milestones of the invoice again."""
        if is_modify:
            self.move_ids.sudo().billing_milestone_ids._start_billing_round()
        return super().reverse_moves(is_modify=is_modify)
