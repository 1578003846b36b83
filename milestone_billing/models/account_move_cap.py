from odoo import api, fields, models


class AccountMove(models.Model):
    """Whoever bills an order with a cap, and however: it is checked when the invoice is posted.

    The check looks in superuser mode: who posts need not read the order and its other invoices.
    """

    _inherit = "account.move"

    milestone_cap_note = fields.Text(
        string="Cap", compute="_compute_milestone_cap_note", compute_sudo=True, groups="base.group_user"
    )

    @api.depends("line_ids.sale_line_ids.order_id")
    def _compute_milestone_cap_note(self):
        for move in self:
            orders = move._get_capped_orders().filtered("milestone_cap_is_near")
            move.milestone_cap_note = "\n".join(order._get_cap_note() for order in orders)

    def _post(self, soft=True):
        posted = super()._post(soft)
        credits_given = posted.filtered(lambda move: move.move_type == "out_refund")
        (posted - credits_given)._check_caps()
        credits_given._get_capped_orders()._warn_of_cap()  # far from the cap again, the next warning is news
        return posted

    def button_draft(self):
        credits_given = self.filtered(lambda move: move.move_type == "out_refund" and move.state == "posted")
        result = super().button_draft()
        credits_given._check_caps()
        return result

    def _get_capped_orders(self):
        return self.sudo().line_ids.sale_line_ids.order_id.filtered("milestone_cap_amount")

    def _check_caps(self, drafts=False):
        """:raises UserError: when an order of these invoices is billed beyond its cap"""
        self._get_capped_orders()._check_cap(self, drafts=drafts)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    @api.constrains("sale_line_ids")
    def _check_posted_within_cap(self):
        """A posted line that is linked to an order later on counts there as well."""
        posted = self.filtered(lambda line: line.parent_state == "posted")
        posted.move_id._check_caps()
