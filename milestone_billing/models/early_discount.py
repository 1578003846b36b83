from odoo import api, models

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


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    @api.depends("billing_milestone_id")
    def _compute_epd_needed(self):
        """Who keeps a part back cannot pay early: no tax is reduced for it."""
        super()._compute_epd_needed()
        # whoever may write the invoice need not read milestones and their contracts: these are asked for a term only
        for line in self.filtered("epd_needed"):
            if any(order._retains_by_terms() for order in line.move_id.sudo().line_ids.billing_milestone_id.order_id):
                line.epd_needed = False


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _get_plan_error(self):
        """Each milestone has its taxes, to the cent; those of a whole order that is paid early are none of them."""
        error = super()._get_plan_error()
        term = self.payment_term_id
        if error or not self.milestone_ids or not term.early_discount:
            return error
        if term.early_pay_discount_computation == "mixed":
            return self.env._(
                "The payment terms %(term)s reduce the taxes whether or not the client pays early, so milestones and "
                "invoices would differ by cents. Choose terms whose discount reduces the tax on early payment, or "
                "never.",
                term=term.name,
            )
        return False
