from odoo import models


class SaleAdvancePaymentInv(models.TransientModel):
    _inherit = "sale.advance.payment.inv"

    def _create_invoices(self, sale_orders):
        """A down payment is billed, too."""
        invoices = super()._create_invoices(sale_orders)
        invoices._check_caps(drafts=True)
        return invoices
