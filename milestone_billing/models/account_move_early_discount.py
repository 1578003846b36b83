from odoo import models

from .agreed_change import ContextMark


class EarlyDiscount(ContextMark):
    """The counterparts of a discount for paying early, whose taxes follow the payment."""

    KEY = "milestone_early_discount"


class AccountMove(models.Model):
    """Discounts for paying early, where the payment corrects the taxes ("on early payment").

    Odoo computes the taxes of the discounted prices, and takes the difference. Amounts that are fixed on a line
    do not follow its price: they are discounted here, so that the taxes shrink as those of any invoice.
    """

    _inherit = "account.move"

    def _get_invoice_counterpart_amls_for_early_payment_discount_per_payment_term_line(self):
        is_included = self.invoice_payment_term_id.early_pay_discount_computation == "included"
        move = EarlyDiscount.mark(self) if is_included else self
        return super(AccountMove, move)._get_invoice_counterpart_amls_for_early_payment_discount_per_payment_term_line()

    def _prepare_product_base_line_for_taxes_computation(self, product_line):
        base_line = super()._prepare_product_base_line_for_taxes_computation(product_line)
        if EarlyDiscount.is_under_way(self.env) and base_line["manual_tax_amounts"]:
            base_line.update(self._discount_fixed_amounts(base_line))
        return base_line

    def _discount_fixed_amounts(self, base_line):
        """Return the fixed amounts of a line less the discount."""
        part = 1 - self.invoice_payment_term_id.discount_percentage / 100

        def reduce(amount, name):
            currency = self.currency_id if name.endswith("_currency") else self.company_currency_id
            return amount and currency.round(amount * part)

        return {
            **{
                name: reduce(base_line[name], name)
                for name in ("manual_total_excluded", "manual_total_excluded_currency")
            },
            "manual_tax_amounts": {
                tax: {name: reduce(amount, name) for name, amount in amounts.items()}
                for tax, amounts in base_line["manual_tax_amounts"].items()
            },
        }
