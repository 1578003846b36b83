from odoo import api, models

# Marks tax amounts that were fixed by dividing an order into milestones.
SPLIT = "milestone_split"
# Marks tax amounts that were fixed by the confirmation, among others that Odoo keeps in the same field.
AGREED = "milestone_agreed"


class AccountTax(models.Model):
    _inherit = "account.tax"

    @api.model
    def _import_base_line_extra_tax_data(self, base_line, extra_tax_data):
        """Amounts in the company's currency follow from the agreed ones, at the rate of the document.

        Odoo would scale those of another rate, fractions of a cent included, and where there are none
        it loses all but the last of several taxes included in the price.
        """
        values = super()._import_base_line_extra_tax_data(base_line, extra_tax_data)
        if "manual_tax_amounts" not in values or not (extra_tax_data.get(SPLIT) or extra_tax_data.get(AGREED)):
            return values
        if not self._is_worth_the_same(base_line, extra_tax_data):
            return {name: value for name, value in values.items() if name == "computation_key"}
        rate = base_line["rate"]
        if (
            not rate
            or "manual_total_excluded_currency" not in values
            or ("manual_total_excluded" in values and rate == extra_tax_data.get("rate"))
        ):
            return values
        record = base_line.get("record")
        company = (record and not isinstance(record, dict) and record.company_id) or self.env.company
        currency = company.currency_id
        values["manual_total_excluded"] = currency.round(values["manual_total_excluded_currency"] / rate)
        for amounts in values["manual_tax_amounts"].values():
            for name in ("tax_amount", "base_amount"):
                if f"{name}_currency" in amounts:
                    amounts[name] = currency.round(amounts[f"{name}_currency"] / rate)
        return values

    @api.model
    def _prepare_manual_tax_amounts(self, taxes, by_tax):
        """Return the amounts that are fixed by tax, as Odoo takes them: with a key for each of the line's taxes.

        Some taxes are none of the document, and have no amount: those that are withheld from payments.
        """
        keys = {str(tax.id): {} for tax in taxes._flatten_taxes_and_sort_them()[0]}
        return {**keys, **by_tax} or {"": {}}  # Odoo ignores a fixed total without any tax

    @api.model
    def _is_worth_the_same(self, base_line, extra_tax_data):
        """Whether a line is worth what it was when its amounts were fixed.

        Odoo compares quantity, price and discount with the decimals of the currency: to it, half a yen line is a line.
        """

        def get_gross(line):
            return line["quantity"] * line["price_unit"] * (1 - line["discount"] / 100)

        return base_line["currency_id"].is_zero(get_gross(base_line) - get_gross(extra_tax_data))
