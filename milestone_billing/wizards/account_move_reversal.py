from odoo import models


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    def reverse_moves(self, is_modify=False):
        """To "reverse and create invoice", or to reverse a credit note, is the decision to bill milestones again."""
        again = self.move_ids.filtered(lambda move: is_modify or move.move_type == "out_refund")
        # who may reverse an invoice need not write its milestones; what Odoo refuses then undoes this, too
        again.sudo().billing_milestone_ids._start_billing_round()
        return super().reverse_moves(is_modify=is_modify)
