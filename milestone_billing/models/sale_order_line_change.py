from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Command

from .account_tax import AGREED
from .agreed_change import AgreedChange
from .taxed_amount import TaxedAmount

CHANGE_FIELDS = frozenset({"change_line_id", "is_reduction"})


class SaleOrderLine(models.Model):
    """Delta lines: what approved changes add to a contract, or take from it, beside the lines that were signed."""

    _inherit = "sale.order.line"

    change_line_id = fields.Many2one(
        "sale.change.request.line",
        string="Change",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The approved change that made this line.",
    )
    is_reduction = fields.Boolean(
        readonly=True,
        copy=False,
        help="Reduces a milestone that was approved before: it is credited once that is billed.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_change_mark(vals)
        defaults = {f"default_{name}" for name in CHANGE_FIELDS}
        if not defaults.isdisjoint(self.env.context):
            context = {key: value for key, value in self.env.context.items() if key not in defaults}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        return super().create(vals_list)

    def write(self, vals):
        self._refuse_change_mark(vals)
        return super().write(vals)

    def _refuse_change_mark(self, vals):
        if CHANGE_FIELDS.intersection(vals) and not AgreedChange.is_under_way(self.env):
            raise AccessError(self.env._("Lines of changes are made when a change request is approved."))

    def _timesheet_service_generation(self):
        """Work on a change is work on its milestone: no product makes a task or a project for it."""
        if AgreedChange.is_under_way(self.env):
            return None
        return super()._timesheet_service_generation()

    # -- making delta lines --------------------------------------------------------------------------------

    def _prepare_change_line(self, milestone, amount, number, reduction=False):
        """Return the values of a line that adds ``amount`` (untaxed, may be negative) to ``milestone``.

        It has the product, account and taxes of this line. Goods are not ordered by a change of price:
        for them it is the company's milestone product.

        :param bool reduction: to be credited; Odoo counts what is credited as a negative quantity
        """
        self.ensure_one()
        is_service = self.product_id.type == "service" and not self.combo_item_id
        product = self.product_id if is_service else self.company_id._get_milestone_product()
        values = milestone._prepare_change_line(product, amount, number, reduction)
        return {
            **values,
            "tax_ids": [Command.set(self.tax_ids.ids)],
            "analytic_distribution": self.analytic_distribution,
        }

    def _get_change_kind(self):
        """Return what lines have in common whose changes are one line: product, taxes, analytic distribution."""
        self.ensure_one()
        analytic = {key: float(share) for key, share in (self.analytic_distribution or {}).items()}
        return self.product_id, self.tax_ids, str(sorted(analytic.items()))

    def _fix_change_amount(self, amount):
        """Fix the line to ``amount`` untaxed, and to the taxes on just that."""
        self.ensure_one()
        engine, quantity = self.env["account.tax"], self.product_uom_qty
        base_line = self._prepare_base_line_for_taxes_computation(
            price_unit=amount * quantity,
            quantity=quantity,
            discount=0.0,
            special_mode="total_excluded",
            extra_tax_data=None,
        )
        engine._add_tax_details_in_base_line(base_line, self.company_id)
        engine._round_base_lines_tax_details([base_line], self.company_id)
        _untaxed, by_tax = self._get_amounts_by_tax(base_line)
        self._fix_taxed_amount(TaxedAmount.from_taxes(amount, by_tax).rounded(self.currency_id))

    def _fix_taxed_amount(self, amount):
        """Fix the line to a :class:`TaxedAmount`; its price says the same, with the taxes that are part of prices."""
        self.ensure_one()
        quantity = self.product_uom_qty
        included = self.tax_ids.flatten_taxes_hierarchy().filtered("price_include")
        gross = amount.untaxed + sum(amount.get((tax.id, "tax"), 0.0) for tax in included)
        price = self.currency_id.round(gross) * quantity  # quantity is 1 or -1
        self._write_past_guard({"price_unit": price, "technical_price_unit": 0.0})
        base_line = self._prepare_base_line_for_taxes_computation(extra_tax_data=None)
        taxes = self.env["account.tax"].browse(amount.tax_ids)
        by_tax = {tax: (amount[tax.id, "tax"], amount.get((tax.id, "base"), amount.untaxed)) for tax in taxes}
        data = self._prepare_fixed_tax_data(base_line, self.currency_id.round(amount.untaxed), by_tax)
        self._write_past_guard({"extra_tax_data": {**data, AGREED: True}})

    def _get_taxed_amount(self, base_lines):
        """Return what the line comes to, tax by tax."""
        self.ensure_one()
        return TaxedAmount.from_taxes(*self._get_amounts_by_tax(base_lines[self])).rounded(self.currency_id)


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    def _prepare_change_line(self, product, amount, number, reduction=False):
        """Return the values of an order line that adds ``amount`` (untaxed) to this milestone."""
        self.ensure_one()
        order = self.order_id.with_context(lang=self.order_id._get_lang())
        quantity = -1.0 if reduction else 1.0
        return {
            "order_id": order.id,
            "billing_milestone_id": self.id,
            "product_id": product.id,
            "name": order.env._("%(milestone)s (change order %(number)s)", milestone=self.name, number=number),
            "product_uom_id": order.env.ref("uom.product_uom_unit").id,
            "product_uom_qty": quantity,
            "price_unit": amount * quantity,
            "technical_price_unit": 0.0,
            "discount": 0.0,
            "is_reduction": reduction,
        }

    def _get_change_shares(self, amount):
        """Divide ``amount`` in the proportions of what the milestone consists of.

        :return: list of (order line whose product and taxes it takes, untaxed amount), to the last unit
        """
        self.ensure_one()
        currency = self.currency_id
        weights = {lines[0]: sum(lines.mapped("price_subtotal")) for lines in self._get_lines_by_kind()}
        weights = {line: weight for line, weight in weights.items() if currency.compare_amounts(weight, 0.0) > 0}
        if not weights:
            return [(self.order_line_ids[:1], amount)]
        whole, so_far, given, shares = sum(weights.values()), 0.0, 0.0, []
        for line, weight in weights.items():
            so_far += weight
            upto = currency.round(amount * so_far / whole)
            share = currency.round(upto - given)
            given = upto
            if not currency.is_zero(share):
                shares.append((line, share))
        return shares

    def _get_lines_by_kind(self):
        """Return the lines of the milestone in groups of one kind, with the changes made so far of each."""
        self.ensure_one()
        lines = self.order_line_ids.sorted(lambda line: (line.sequence, line.id))
        return lines.grouped(lambda line: line._get_change_kind()).values()

    def _get_moved_parts(self, amount):
        """Divide ``amount`` over what the milestone consists of, tax by tax; the whole is all of it.

        :return: list of (order line whose product and taxes it takes, :class:`TaxedAmount`)
        """
        self.ensure_one()
        currency = self.currency_id
        base_lines = self.order_id._get_rounded_base_lines()
        totals = {}
        for lines in self._get_lines_by_kind():
            total = TaxedAmount()
            for line in lines:
                total = total.plus(line._get_taxed_amount(base_lines))
            totals[lines[0]] = total.rounded(currency)
        if currency.compare_amounts(amount, self.amount_untaxed) == 0:
            return [(line, total) for line, total in totals.items() if any(total.values())]
        whole, so_far, given, parts = self.amount_untaxed, 0.0, 0.0, []
        for line, total in totals.items():
            so_far += total.untaxed
            upto = currency.round(amount * so_far / whole)
            untaxed = currency.round(upto - given)
            given = upto
            if not currency.is_zero(untaxed):
                part = total.share(TaxedAmount(untaxed=untaxed), TaxedAmount(untaxed=total.untaxed), currency)
                parts.append((line, part))
        return parts


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _create_change_lines(self, change_line, vals_list):
        """Create the delta lines of a line of an approved change request."""
        last = max(self.order_line.mapped("sequence"), default=0) + 1
        values = {"change_line_id": change_line.id, "sequence": last}
        return self.env["sale.order.line"].create([{**vals, **values} for vals in vals_list])
