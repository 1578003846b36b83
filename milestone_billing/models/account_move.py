from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError


class AccountMove(models.Model):
    _inherit = "account.move"

    billing_milestone_ids = fields.Many2many(
        "sale.milestone", string="Milestones", compute="_compute_billing_milestone_ids", compute_sudo=True
    )
    billing_milestone_count = fields.Integer(compute="_compute_billing_milestone_ids", compute_sudo=True)

    @api.depends("line_ids.billing_milestone_id")
    def _compute_billing_milestone_ids(self):
        for move in self:
            move.billing_milestone_ids = move.line_ids.billing_milestone_id
            move.billing_milestone_count = len(move.billing_milestone_ids)

    def button_draft(self):
        """:raises UserError: for a cancelled invoice whose milestones were billed again since"""
        cancelled = self.filtered(lambda move: move.state == "cancel")
        keys = [key for key in cancelled.line_ids.mapped("milestone_billing_key") if key]
        if keys:
            other = self.env["account.move.line"].sudo().search(
                [("milestone_billing_key", "in", keys), ("parent_state", "!=", "cancel")], limit=1
            )
            if other:
                raise UserError(
                    self.env._(
                        "%(milestone)s was billed by %(invoice)s since: this invoice stays cancelled.",
                        milestone=other.billing_milestone_id.display_name,
                        invoice=other.move_id.display_name,
                    )
                )
        return super().button_draft()

    def action_view_billing_milestones(self):
        """Open the milestones that this invoice bills or credits."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_milestone_action")
        action["domain"] = [("id", "in", self.billing_milestone_ids.ids)]
        if len(self.billing_milestone_ids) == 1:
            action.update(views=[(False, "form")], res_id=self.billing_milestone_ids.id)
        return action

    def _queue_milestone_sending(self):
        """Hand posted invoices to Odoo's own asynchronous sending: mail and PDF come from its cron."""
        for move in self.filtered(lambda move: move.state == "posted" and move.partner_id.email):
            move.sending_data = {
                "author_user_id": SUPERUSER_ID,
                "author_partner_id": self.env["res.users"].browse(SUPERUSER_ID).partner_id.id,
                "sending_methods": ["email"],
            }
        self.env.ref("account.ir_cron_account_move_send").sudo()._trigger()

    def _get_milestone_statements(self):
        """Return one line of text per milestone, for the invoice, its PDF and its portal page."""
        self.ensure_one()
        return [milestone._get_billing_statement() for milestone in self.sudo().billing_milestone_ids]
