from odoo import api, models

from .account_tax import AGREED


class SaleOrder(models.Model):
    """What is agreed is what is billed, to the smallest unit, untaxed, per tax and in total.

    With taxes rounded globally an order is rounded as a whole, and its milestones' invoices would
    each be rounded by themselves: ten times 0.10 + 15 % is 1.15 as one document and 1.20 as ten.
    So the amounts of a milestone are its share of the rounded order, and the confirmation fixes
    them on the order lines, from where they are invoiced.
    """

    _inherit = "sale.order"

    def _get_rounded_base_lines(self):
        """Return the base lines of the tax engine by order line, rounded together like the order itself."""
        self.ensure_one()
        engine = self.env["account.tax"]
        company = self.company_id or self.env.company
        base_lines = [line._prepare_base_line_for_taxes_computation() for line in self._get_priced_lines()]
        engine._add_tax_details_in_base_lines(base_lines, company)
        engine._round_base_lines_tax_details(base_lines, company)
        self._keep_fixed_amounts(base_lines)
        return {base_line["record"]: base_line for base_line in base_lines}

    def _get_untaxed_by_line(self):
        """Return what each line adds to the untaxed amount of the order, advances left out."""
        self.ensure_one()
        return {
            line: base_line["tax_details"]["total_excluded_currency"]
            + base_line["tax_details"]["delta_total_excluded_currency"]
            for line, base_line in self._get_rounded_base_lines().items()
            if not line.is_downpayment
        }

    def _keep_fixed_amounts(self, base_lines):
        """Odoo spreads what its rounding leaves over all lines; what fell to fixed ones goes to the largest other.

        :param base_lines: rounded base lines; they are changed, their sums are not
        """
        groups = {}
        for base_line in base_lines:
            groups.setdefault(base_line["computation_key"], []).append(base_line)
        for group in groups.values():
            fixed = [base_line for base_line in group if base_line["manual_tax_amounts"]]
            others = [base_line for base_line in group if not base_line["manual_tax_amounts"]]
            others.sort(key=lambda base_line: -abs(base_line["tax_details"]["raw_total_excluded_currency"]))
            if fixed and others:
                for suffix in ("_currency", ""):
                    self._hand_over_rounding(fixed, others, suffix)

    def _hand_over_rounding(self, fixed, others, suffix):
        name = f"delta_total_excluded{suffix}"
        for base_line in fixed:
            others[0]["tax_details"][name] += base_line["tax_details"][name]
            base_line["tax_details"][name] = 0.0
        heirs = {
            (data["tax"], data["is_reverse_charge"]): data
            for base_line in reversed(others)
            for data in base_line["tax_details"]["taxes_data"]
        }
        for base_line in fixed:
            for data in base_line["tax_details"]["taxes_data"]:
                heir = heirs.get((data["tax"], data["is_reverse_charge"]))
                agreed = base_line["manual_tax_amounts"].get(str(data["tax"].id), {})
                for name, sign in (("tax_amount", -1 if data["is_reverse_charge"] else 1), ("base_amount", 1)):
                    if heir and f"{name}_currency" in agreed:
                        amount = self._get_fixed_amount(base_line, agreed, name, suffix) * sign
                        heir[f"{name}{suffix}"] += data[f"{name}{suffix}"] - amount
                        data[f"{name}{suffix}"] = amount

    def _get_fixed_amount(self, base_line, agreed, name, suffix):
        if f"{name}{suffix}" in agreed:
            return agreed[f"{name}{suffix}"]
        rate = base_line["rate"]
        return (self.company_id or self.env.company).currency_id.round(
            agreed[f"{name}_currency"] / rate if rate else 0.0
        )

    def _fix_agreed_amounts(self):
        """Fix the amounts of milestone lines, and of free lines where the rounding ties them together."""
        for order in self:
            together = order.company_id.tax_calculation_rounding_method == "round_globally"
            open_lines = order._get_priced_lines().filtered(
                lambda line, together=together: (
                    (line.billing_milestone_id or (together and not line.is_downpayment))
                    and not line._has_fixed_amounts()
                )
            )
            base_lines = order._get_rounded_base_lines() if open_lines else {}
            for line in open_lines:
                if not base_lines[line]["manual_tax_amounts"]:
                    line._fix_agreed_amounts(base_lines[line])

    def _release_agreed_amounts(self):
        for line in self.order_line.filtered(
            lambda line: line.billing_milestone_id.state != "approved" and not line.change_line_id
        ):
            line._release_agreed_amounts()


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    @api.depends("extra_tax_data")
    def _compute_amount(self):
        super()._compute_amount()

    @api.depends("extra_tax_data", "qty_invoiced_posted")
    def _compute_untaxed_amount_to_invoice(self):
        """Odoo multiplies price and quantity here; a line billed in full was billed for its agreed amount."""
        super()._compute_untaxed_amount_to_invoice()
        for line in self.filtered(lambda line: line._has_fixed_amounts() and not line.billing_milestone_id):
            if line.product_uom_id.compare(line.qty_invoiced_posted, line.product_uom_qty) == 0:
                line.untaxed_amount_to_invoice = line.price_subtotal - line.untaxed_amount_invoiced

    def copy_data(self, default=None):
        """A copy is another quotation: its amounts are its own."""
        vals_list = super().copy_data(default)
        for line, vals in zip(self, vals_list, strict=True):
            if line._has_agreed_amounts():
                vals["extra_tax_data"] = line._get_released_tax_data()
        return vals_list

    def write(self, vals):
        if "tax_ids" in vals and "extra_tax_data" not in vals:
            for line in self.filtered(lambda line: not line.billing_milestone_id):
                line._release_agreed_amounts()
        return super().write(vals)

    def _fix_agreed_amounts(self, base_line):
        """Keep the rounded amounts of ``base_line`` in the order's currency.

        Amounts in the company's currency follow from the rate of the invoice.
        """
        self.ensure_one()
        data = self._prepare_fixed_tax_data(base_line, *self._get_amounts_by_tax(base_line))
        self._write_past_guard({"extra_tax_data": {**data, AGREED: True}})

    @api.model
    def _get_amounts_by_tax(self, base_line):
        """Return the untaxed amount of a rounded base line, and by tax its (tax amount, base amount)."""
        details = base_line["tax_details"]
        by_tax = {
            data["tax"]: (data["tax_amount_currency"], data["base_amount_currency"])
            for data in details["taxes_data"]
            if not data["is_reverse_charge"]
        }
        return details["total_excluded_currency"] + details["delta_total_excluded_currency"], by_tax

    @api.model
    def _prepare_fixed_tax_data(self, base_line, untaxed, by_tax):
        """Return the ``extra_tax_data`` that fixes a line to these amounts, in the order's currency."""
        fixed = {
            **base_line,
            "manual_total_excluded": None,
            "manual_total_excluded_currency": untaxed,
            "manual_tax_amounts": self.env["account.tax"]._prepare_manual_tax_amounts(
                base_line["tax_ids"],
                {
                    str(tax.id): {"tax_amount_currency": amount, "base_amount_currency": base}
                    for tax, (amount, base) in by_tax.items()
                },
            ),
        }
        return self.env["account.tax"]._export_base_line_extra_tax_data(fixed)

    def _get_unbilled_tax_data(self, quantity, price_unit):
        """Return the ``extra_tax_data`` that bills what is not billed of the line: untaxed and each tax exactly."""
        self.ensure_one()
        base_line = self._get_rounded_base_line()
        untaxed, by_tax = self._get_unbilled_by_tax(base_line, self._get_billed_lines())
        base_line.update(quantity=quantity, price_unit=price_unit, manual_total_excluded=None)
        return {**self._prepare_fixed_tax_data(base_line, untaxed, by_tax), AGREED: True}

    def _get_rounded_base_line(self):
        """Return the base line of the tax engine, rounded by itself."""
        self.ensure_one()
        engine = self.env["account.tax"]
        base_line = self._prepare_base_line_for_taxes_computation()
        engine._add_tax_details_in_base_line(base_line, self.company_id)
        engine._round_base_lines_tax_details([base_line], self.company_id)
        return base_line

    def _get_unbilled_by_tax(self, base_line, invoice_lines):
        """Return what ``invoice_lines`` leave to bill of the line: untaxed, and by tax (tax amount, base amount)."""
        agreed = self._get_amounts_by_tax(base_line)
        untaxed, by_tax = agreed[0], dict(agreed[1])
        for invoice_line in invoice_lines:
            sign = 1 if invoice_line._is_milestone_bill() else -1
            billed, billed_by_tax = self._get_billed_by_tax(invoice_line, *agreed)
            untaxed -= sign * billed
            for tax, (amount, base) in billed_by_tax.items():
                amount_left, base_left = by_tax.get(tax, (0.0, 0.0))
                by_tax[tax] = amount_left - sign * amount, base_left - sign * base
        currency = self.currency_id
        return untaxed, {tax: (currency.round(amount), currency.round(base)) for tax, (amount, base) in by_tax.items()}

    def _get_billed_by_tax(self, invoice_line, agreed, agreed_by_tax):
        """Return what an invoice line bills of the agreed amounts: untaxed, and by tax (tax amount, base amount).

        A line whose taxes somebody changed takes the share of the agreed taxes that it has of the untaxed amount:
        what is left of the line has its own taxes, and no others.
        """
        base_lines, _tax_lines = invoice_line.move_id._get_rounded_base_and_tax_lines()
        for base_line in base_lines:
            if base_line["record"] == invoice_line:
                billed, by_tax = self._get_amounts_by_tax(base_line)
                if invoice_line.tax_ids == self.tax_ids:
                    return billed, by_tax
                share = billed / agreed if agreed else 0.0
                return billed, {tax: (amount * share, base * share) for tax, (amount, base) in agreed_by_tax.items()}
        return 0.0, {}

    def _get_unbilled_total(self):
        """Return the agreed amount of the line, taxes included, less what posted documents bill of it."""
        self.ensure_one()
        posted = self.invoice_lines.filtered(
            lambda line: line.parent_state == "posted" and line.display_type == "product"
        )
        if all(line.tax_ids == self.tax_ids for line in posted):
            return self.price_total - self.amount_invoiced
        untaxed, by_tax = self._get_unbilled_by_tax(self._get_rounded_base_line(), posted)
        return untaxed + sum(amount for amount, _base in by_tax.values())

    def _get_fixed_totals(self):
        """Return the tax totals of lines whose amounts are all fixed, or None: they need no order to be rounded."""
        if not self or not all(line._has_fixed_amounts() for line in self):
            return None
        currency = self.currency_id
        totals = {"base": "price_subtotal", "tax": "price_tax", "total": "price_total"}
        return {f"{key}_amount_currency": currency.round(sum(self.mapped(name))) for key, name in totals.items()}

    def _has_fixed_amounts(self):
        """Whether the tax engine takes the amounts of the line as they were fixed."""
        self.ensure_one()
        data = self.extra_tax_data or {}
        return bool(
            data.get("manual_tax_amounts")
            and self.env["account.tax"]
            ._import_base_line_extra_tax_data(
                {
                    "tax_ids": self.tax_ids,
                    "currency_id": self.currency_id,
                    "price_unit": self.price_unit,
                    "discount": self.discount,
                    "quantity": self.product_uom_qty,
                    "rate": data.get("rate"),
                },
                data,
            )
            .get("manual_tax_amounts")
        )

    def _has_agreed_amounts(self):
        return bool((self.extra_tax_data or {}).get(AGREED))

    def _get_released_tax_data(self):
        key = self.extra_tax_data.get("computation_key")
        return {"computation_key": key} if key else False

    def _release_agreed_amounts(self):
        self.ensure_one()
        if self._has_agreed_amounts():
            self._write_past_guard({"extra_tax_data": self._get_released_tax_data()})
