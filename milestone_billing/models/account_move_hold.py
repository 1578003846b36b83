from odoo import api, models


class AccountMove(models.Model):
    _inherit = "account.move"

    def _post(self, soft=True):
        """A draft that was there before the hold waits as well; credit notes never wait."""
        bills = self.filtered(lambda move: move.move_type == "out_invoice")
        bills.sudo().line_ids.billing_milestone_id._check_not_on_hold()
        return super()._post(soft)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    @api.constrains("sale_line_ids")
    def _check_milestone_not_held(self):
        """However an invoice line came about: it bills no milestone on hold."""
        bills = self.sudo().filtered(lambda line: line.move_type == "out_invoice")
        held = bills.sale_line_ids.billing_milestone_id.filtered("on_hold")
        if held:
            held.sudo(False).check_access("read")
            held._check_not_on_hold()
