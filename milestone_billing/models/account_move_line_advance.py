from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError

from .taxed_amount import TaxedAmount


class AccountMoveLine(models.Model):
    """Invoice lines that recover an advance, and for which milestone."""

    _inherit = "account.move.line"

    advance_milestone_id = fields.Many2one(
        "sale.milestone",
        string="Advance Recovered By",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    exchange_advance_line_id = fields.Many2one(
        "sale.order.line",
        string="Exchange Difference of Advance",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    @api.constrains("advance_milestone_id", "sale_line_ids")
    def _check_advance_milestone(self):
        for line in self.sudo().filtered("advance_milestone_id"):
            advance = line.sale_line_ids
            if (
                not advance.is_milestone_advance
                or len(advance) > 1
                or advance.order_id != line.advance_milestone_id.order_id
            ):
                raise ValidationError(self.env._("A line that recovers an advance belongs to an advance of its order."))

    def _compute_account_id(self):
        """What recovers an advance stays on its account when Odoo computes those of a draft anew."""
        settled = self.filtered(lambda line: line.advance_milestone_id and line.account_id)
        return super(AccountMoveLine, self - settled)._compute_account_id()

    @api.model_create_multi
    def create(self, vals_list):
        defaults = {"default_advance_milestone_id", "default_exchange_advance_line_id"}
        if not defaults.isdisjoint(self.env.context):
            context = {key: value for key, value in self.env.context.items() if key not in defaults}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        return super().create(vals_list)

    def write(self, vals):
        if "advance_milestone_id" in vals or "exchange_advance_line_id" in vals:
            raise AccessError(self.env._("Which milestone recovers an advance is settled by its invoice."))
        return super().write(vals)

    def unlink(self):
        """Who takes a milestone off a document takes off its heading and what it recovers there, too."""
        return super(AccountMoveLine, self | self._get_stranded_lines()).unlink()

    def _get_stranded_lines(self):
        """Return what belongs to milestones that no line of their draft bills any more once ``self`` is gone."""
        stranded = self.browse()
        for move, lines in self.filtered("billing_milestone_id").grouped("move_id").items():
            if move.state == "draft":
                left = move.line_ids - self
                bills = left.filtered(lambda line: line.display_type == "product")
                gone = lines.billing_milestone_id - bills.billing_milestone_id
                stranded |= left.filtered(
                    lambda line, gone=gone: (line.advance_milestone_id | line.billing_milestone_id) & gone
                )
        return stranded

    def _copy_data_extend_business_fields(self, values):
        """A credit note gives back what its invoice recovered."""
        super()._copy_data_extend_business_fields(values)
        values["advance_milestone_id"] = self.advance_milestone_id.id

    def _is_advance_recovery(self):
        """Whether the line deducts an advance (or, on a credit note, gives it back)."""
        self.ensure_one()
        return bool(self.advance_milestone_id)

    def _get_recovered_amount(self, untaxed=False):
        """Return what the lines recover, positive, in the currency of their documents.

        With taxes rounded globally, the subtotals of lines that were edited by hand may be off.
        """
        amounts = [(line._get_taxed_amount(), line.move_id.direction_sign) for line in self]
        return sum(sign * (amount.untaxed if untaxed else amount.total) for amount, sign in amounts)

    def _get_taxed_amount(self):
        """Return the :class:`TaxedAmount` of the line, as it stands in its document."""
        self.ensure_one()
        data = self.extra_tax_data or {}
        if data.get("manual_tax_amounts") and data.get("manual_total_excluded_currency") is not None:
            amount = TaxedAmount.from_tax_data(data)
            currency = self.currency_id
            if not (
                currency.compare_amounts(amount.untaxed, self.price_subtotal)
                or currency.compare_amounts(amount.total, self.price_total)
                # rounded together with other lines, one of which was edited
                or currency.compare_amounts(amount.untaxed, self.move_id.direction_sign * self.amount_currency)
            ):
                return amount
        # edited by hand since
        base_lines, _tax_lines = self.move_id._get_rounded_base_and_tax_lines()
        base_line = next(base_line for base_line in base_lines if base_line["record"] == self)
        return TaxedAmount.from_taxes(*self.env["sale.order.line"]._get_amounts_by_tax(base_line))
