from odoo import models
from odoo.exceptions import UserError

from ..models.sale_order_split import NOISE, PARTS
from ..tools import milestone_schedule
from ..tools.apportion import apportion


class SaleMilestonePlanner(models.TransientModel):
    """What the rows of a plan amount to, and what is wrong with them."""

    _inherit = "sale.milestone.planner"

    def _get_preview(self, split_by=None):
        """Return what the rows get of the divided lines: dicts of ``untaxed``, ``tax`` and ``total`` by row."""
        split_by = split_by or self.split_by
        rows = self.line_ids.filtered(lambda row: row[split_by] > 0)
        shares = rows.mapped(split_by)
        totals = self._get_split_totals()
        if not rows or not totals:
            return {}
        weights = self.order_id._get_split_weights(**{f"{split_by}s": shares})
        in_percent = split_by == "percentage"
        rest = (100 * PARTS if in_percent else sum(total["untaxed"] for total in totals)) - sum(weights)
        if abs(rest) > (NOISE * PARTS if in_percent else 0):
            if rest < 0:
                return {}
            # what is missing is a share of its own, so that the others show what they will be
            weights.append(rest)
        preview = self._divide_totals(totals, weights)
        return dict(zip(rows, preview, strict=False))

    def _get_split_totals(self):
        """Return the amounts to divide, by order line: those of the quotation, or of the line that is to be made."""
        if self.source_ids:
            return self.source_ids.filtered("divide").mapped("split_totals")
        if self.currency_id.compare_amounts(self.contract_sum, 0.0) <= 0:
            return []
        line = self.env["sale.order.line"].new(self._prepare_contract_line_values())
        line.price_unit = line._add_included_taxes(self.contract_sum)
        base_line = line._prepare_base_line_for_taxes_computation()
        engine = self.env["account.tax"]
        engine._add_tax_details_in_base_lines([base_line], self.company_id)
        engine._round_base_lines_tax_details([base_line], self.company_id)
        return [line._prepare_planner_source(base_line)["split_totals"]]

    def _prepare_contract_line_values(self):
        """Return the values of the order line that the plan of an empty quotation makes and divides.

        :raises UserError: when no product is known
        """
        product = self.company_id._get_milestone_product()
        if not product:
            raise UserError(
                self.env._(
                    "Choose a milestone product in the settings, or add the order lines to the quotation first: "
                    "taxes and income account come from them."
                )
            )
        return {
            "order_id": self.order_id.id,
            "product_id": product.id,
            "product_uom_qty": 1.0,
            "price_unit": self.contract_sum,
            # 0: a price set through the ORM is otherwise reset to the pricelist's later on
            "technical_price_unit": 0.0,
            "discount": 0.0,
        }

    def _divide_totals(self, totals, weights):
        """Return what the exact split makes of the order lines, without touching them.

        :param totals: ``split_totals`` of the order lines, in their order
        :param weights: whole numbers in the proportion of the shares
        """
        from_units = self.order_id._from_units
        untaxed = [
            sum(column) for column in zip(*apportion([total["untaxed"] for total in totals], weights), strict=True)
        ]
        taxes = [0] * len(weights)
        by_key = {}
        for total in totals:
            for key, sign, units in total["taxes"]:
                by_key.setdefault((key, sign), []).append(units)
        for (_key, sign), rows in by_key.items():
            for row in apportion(rows, weights):
                taxes = [tax + sign * part for tax, part in zip(taxes, row, strict=True)]
        return [
            {"untaxed": from_units(base), "tax": from_units(tax), "total": from_units(base + tax)}
            for base, tax in zip(untaxed, taxes, strict=True)
        ]

    def _get_problem(self):
        """Return why the plan cannot be made yet, naming the remainder, or an empty string."""
        divided = self.source_ids.filtered("divide")
        whole = self.source_ids - divided
        numbers = set(whole.mapped("milestone_number"))
        if not self.line_ids:
            return ""
        for number, row in enumerate(self.line_ids, 1):
            if row[self.split_by] < 0:
                return self.env._("The share of %(milestone)s is negative.", milestone=row.name)
            if not row[self.split_by] and number not in numbers:
                if self._has_weights():
                    return self.env._(
                        "%(milestone)s has no weight yet: enter one above zero, put an order line under it, or "
                        "remove it.",
                        milestone=row.name or number,
                    )
                return self.env._(
                    "%(milestone)s has no share yet: enter one, put an order line under it, or remove it.",
                    milestone=row.name or number,
                )
        wrong = whole.filtered(lambda source: source.milestone_number > len(self.line_ids))
        if wrong:
            return self.env._(
                "%(line)s is to belong to milestone %(number)s, and there are %(count)s.",
                line=wrong[0].name,
                number=wrong[0].milestone_number,
                count=len(self.line_ids),
            )
        has_price = bool(divided) if self.source_ids else self.contract_sum > 0
        if not has_price and self.split_by == "percentage" and any(self.line_ids.mapped("percentage")):
            return self.env._(
                "There is no price to take percentages of: enter the contract sum, add order lines to the quotation "
                "first, or choose lines to divide."
            )
        return self._get_remainder_problem() if has_price else ""

    def _get_remainder_problem(self):
        if self.split_by == "percentage":
            remainder = milestone_schedule.get_remainder(self.line_ids.mapped("percentage"))
            text = f"{self.order_id._format_percentage(abs(remainder))} %"
        else:
            remainder = self.currency_id.round(self.amount_to_divide - sum(self.line_ids.mapped("amount")))
            text = self.currency_id.format(abs(remainder))
        if remainder > 0:
            return self.env._("%(remainder)s of the price is not planned yet.", remainder=text)
        if remainder < 0:
            return self.env._("The shares are %(remainder)s more than the price.", remainder=text)
        return ""

    def _create_contract_line(self):
        """Make the order line of an empty quotation, if a contract sum is given."""
        lines = self.env["sale.order.line"]
        if not self.source_ids and self.contract_sum > 0:
            lines = lines.create(self._prepare_contract_line_values())
            lines._set_price_subtotal(self.contract_sum)
        return lines
