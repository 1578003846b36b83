from odoo import api, fields, models

from ..controllers.signature import read_signature


class SaleOrderCountersign(models.TransientModel):
    """Show what the client signed, and take the signature of the company."""

    _name = "sale.order.countersign"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Countersign a Contract"

    _dialog_documents = frozenset({"order_id"})
    _dialog_fixed = frozenset({"content_hash"})

    order_id = fields.Many2one("sale.order", required=True, readonly=True, ondelete="cascade")
    content_hash = fields.Char(compute="_compute_content_hash", store=True, readonly=False)
    partner_id = fields.Many2one(related="order_id.partner_id", related_sudo=False)
    currency_id = fields.Many2one(related="order_id.currency_id", related_sudo=False)
    amount_total = fields.Monetary(related="order_id.amount_total", related_sudo=False)
    client_name = fields.Char(related="order_id.signed_by", related_sudo=False, string="Signed By")
    client_signed_on = fields.Datetime(related="order_id.signed_on", related_sudo=False, string="Signed On")
    client_signature = fields.Image(related="order_id.signature", related_sudo=False, string="Client's Signature")
    recorded_by = fields.Many2one(related="order_id.signature_recorded_by", related_sudo=False)
    has_to_be_paid = fields.Boolean(compute="_compute_has_to_be_paid", compute_sudo=True)
    signer_name = fields.Char(compute="_compute_signer_name")
    signature = fields.Image(string="Your Signature", attachment=False)

    @api.depends("order_id")
    def _compute_content_hash(self):
        for wizard in self:
            wizard.content_hash = wizard.order_id.signed_content_hash

    @api.depends("order_id")
    def _compute_has_to_be_paid(self):
        for wizard in self:
            wizard.has_to_be_paid = bool(wizard.order_id) and wizard.order_id._has_to_be_paid()

    @api.depends_context("uid")
    def _compute_signer_name(self):
        self.signer_name = self.env.user.name

    def action_confirm(self):
        """Sign; rights, state and what was shown are checked by the order."""
        self.ensure_one()
        signature = self.with_context(bin_size=False).signature
        image = read_signature(self.env, signature.decode() if signature else "")
        self.order_id._countersign(image, self.content_hash)
        return {"type": "ir.actions.act_window_close"}
