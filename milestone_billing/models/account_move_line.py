from odoo import api, fields, models
from odoo.exceptions import AccessError

PROTECTED_FIELDS = frozenset({"billing_milestone_id", "milestone_billing_key"})


class AccountMoveLine(models.Model):
    """Which milestone an invoice line bills; it follows the order line, on credit notes too."""

    _inherit = "account.move.line"

    billing_milestone_id = fields.Many2one(
        "sale.milestone",
        string="Milestone",
        compute="_compute_billing_milestone_id",
        store=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    milestone_billing_key = fields.Char(
        compute="_compute_milestone_billing_key",
        store=True,
        copy=False,
        help="Order line and billing round: no two live invoice lines share it.",
    )

    _milestone_billed_once = models.UniqueIndex(
        "(milestone_billing_key) WHERE milestone_billing_key IS NOT NULL AND parent_state <> 'cancel'",
        "This milestone is billed already.",
    )

    @api.depends("sale_line_ids")
    def _compute_billing_milestone_id(self):
        for line in self:
            line.billing_milestone_id = line.sudo().sale_line_ids.billing_milestone_id[:1]

    @api.depends("billing_milestone_id")
    def _compute_milestone_billing_key(self):
        for line in self:
            order_line = line.sudo().sale_line_ids[:1]
            bills = (
                line.billing_milestone_id and line.move_type == "out_invoice" and not order_line.display_type
            )
            if bills and not line.milestone_billing_key:
                line.milestone_billing_key = f"{order_line.id}.{line.billing_milestone_id.billing_round}"
            elif not line.milestone_billing_key:
                line.milestone_billing_key = False

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_milestone_link(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._refuse_milestone_link(vals)
        return super().write(vals)

    def _refuse_milestone_link(self, vals):
        if PROTECTED_FIELDS.intersection(vals):
            raise AccessError(self.env._("The milestone of an invoice line follows its order line."))

    def _get_billing_round(self):
        """Return the billing round of an invoice line, or 0 for credit notes and other lines."""
        self.ensure_one()
        return int(self.milestone_billing_key.rpartition(".")[2]) if self.milestone_billing_key else 0

    def _get_milestone_sign(self):
        """Return 1 for invoices, -1 for credit notes."""
        self.ensure_one()
        return -1 if self.move_id.move_type == "out_refund" else 1
