from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

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
        "This milestone is billed already. Credit its invoice, and choose Bill Again on the milestone.",
    )

    @api.depends("sale_line_ids")
    def _compute_billing_milestone_id(self):
        for line in self:
            line.billing_milestone_id = line.sudo().sale_line_ids.billing_milestone_id[:1]

    @api.constrains("sale_line_ids")
    def _check_milestone_approved(self):
        """However an invoice line came about: it bills one order line, of an approved milestone."""
        for line in self.sudo().filtered(lambda line: line.move_type == "out_invoice"):
            gated = line.sale_line_ids.filtered(
                lambda order_line: order_line.billing_milestone_id and not order_line.display_type
            )
            if gated and len(line.sale_line_ids) > 1:
                raise UserError(self.env._("An invoice line bills one order line of a milestone, and nothing else."))
            for milestone in gated.billing_milestone_id:
                if milestone.state != "approved":
                    milestone.sudo(False).check_access("read")
                    raise UserError(
                        self.env._(
                            "%(milestone)s is not approved: it cannot be invoiced yet.",
                            milestone=milestone.display_name,
                        )
                    )

    @api.depends("billing_milestone_id")
    def _compute_milestone_billing_key(self):
        for line in self:
            order_line = line.sudo().sale_line_ids[:1]
            bills = line.billing_milestone_id and line.move_type == "out_invoice" and not order_line.display_type
            if bills and not line.milestone_billing_key:
                line.milestone_billing_key = f"{order_line.id}.{line.billing_milestone_id.billing_round}"
            elif not line.milestone_billing_key:
                line.milestone_billing_key = False

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_milestone_link(vals)
        defaults = {f"default_{name}" for name in PROTECTED_FIELDS}
        if not defaults.isdisjoint(self.env.context):
            context = {key: value for key, value in self.env.context.items() if key not in defaults}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        return super().create(vals_list)

    def write(self, vals):
        self._refuse_milestone_link(vals)
        billed = self.filtered("billing_milestone_id") if "sale_line_ids" in vals else self.browse()
        order_lines = [line.sudo().sale_line_ids for line in billed]
        result = super().write(vals)
        if order_lines != [line.sudo().sale_line_ids for line in billed]:
            raise UserError(self.env._("The milestone of an invoice line follows its order line."))
        return result

    def _refuse_milestone_link(self, vals):
        if PROTECTED_FIELDS.intersection(vals):
            raise AccessError(self.env._("The milestone of an invoice line follows its order line."))

    def _get_billing_round(self):
        """Return the billing round of an invoice line, or 0 for credit notes and other lines."""
        self.ensure_one()
        return int(self.milestone_billing_key.rpartition(".")[2]) if self.milestone_billing_key else 0

    def _get_billed_amount(self):
        """Return what the lines bill, untaxed and in the currency of their documents; credit notes count less.

        This is the amount of the ledger: with taxes rounded globally, the subtotal of a line may be a cent off.
        """
        return -sum(self.mapped("amount_currency"))

    def _get_payment_states(self):
        """Return how the documents of the lines are paid; what a draft would credit is owed until it is posted.

        Odoo keeps a credit note that is set back to draft reconciled with its invoice, which stays "Reversed".
        """
        return {
            "not_paid"
            if move.payment_state == "reversed" and "draft" in move.reversal_move_ids.mapped("state")
            else move.payment_state
            for move in self.move_id
        }

    def _is_milestone_bill(self):
        """Whether the line is one of an invoice, and not of a credit note."""
        self.ensure_one()
        return self.move_id.move_type != "out_refund"
