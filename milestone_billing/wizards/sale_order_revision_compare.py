from odoo import api, fields, models


class SaleOrderRevisionCompare(models.TransientModel):
    """What changed between any two revisions of a quotation."""

    _name = "sale.order.revision.compare"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Compare Revisions"

    _dialog_documents = frozenset({"order_id"})

    order_id = fields.Many2one("sale.order", required=True, readonly=True, ondelete="cascade")
    before_id = fields.Many2one(
        "sale.order.revision", string="From", domain="[('order_id', '=', order_id)]", ondelete="cascade"
    )
    after_id = fields.Many2one(
        "sale.order.revision", string="To", domain="[('order_id', '=', order_id)]", ondelete="cascade"
    )
    difference = fields.Html(compute="_compute_difference", sanitize=False)

    @api.depends("before_id", "after_id")
    @api.depends_context("lang")
    def _compute_difference(self):
        for dialog in self:
            before, after = dialog.before_id, dialog.after_id
            is_one_order = before.order_id == after.order_id == dialog.order_id
            dialog.difference = after._render_difference(before) if before and after and is_one_order else False
