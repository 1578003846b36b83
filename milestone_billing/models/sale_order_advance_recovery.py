from odoo import models
from odoo.fields import Command


class SaleOrder(models.Model):
    """Invoices of milestones deduct the advances; other invoices of the order leave them alone."""

    _inherit = "sale.order"

    def _get_invoiceable_lines(self, final=False):
        """Advances are no lines of their own to Odoo's invoices, whatever it wants to deduct."""
        return super()._get_invoiceable_lines(final=final).filtered(lambda line: not line.is_milestone_advance)

    def _create_invoices(self, grouped=False, final=False, date=None):
        self.sudo().order_line.filtered("is_milestone_advance")._lock_advances()
        return super()._create_invoices(grouped=grouped, final=final, date=date)

    def _deduct_advances(self, invoice_vals_list):
        """Add to the values of invoices what each of their milestones recovers of the advances."""
        if not self.sudo().order_line.filtered("is_milestone_advance"):
            return
        milestones = [self._get_invoiced_milestones(vals) for vals in invoice_vals_list]
        recovery = self.env["sale.milestone"].sudo().union(*milestones)._get_advance_recovery()
        for vals, own in zip(invoice_vals_list, milestones, strict=True):
            commands = vals["invoice_line_ids"]
            sequence = max((command[2].get("sequence", 0) for command in commands), default=0) + 1
            pieces = [(milestone, *piece) for milestone in own for piece in recovery[milestone]]
            if pieces:
                order = own[:1].order_id.with_context(lang=own[:1].order_id.partner_invoice_id.lang)
                commands.append(Command.create(order._prepare_down_payment_section_line(sequence=sequence)))
            for number, (milestone, line, amount) in enumerate(pieces, sequence + 1):
                commands.append(Command.create(line._prepare_recovery_line(milestone, amount, number)))

    def _get_invoiced_milestones(self, invoice_vals):
        """Return the milestones that the values of an invoice bill, in their order."""
        lines = self.env["sale.order.line"].union(
            *(self._get_invoiced_order_line(command[2]) for command in invoice_vals["invoice_line_ids"])
        )
        return lines.filtered(lambda line: not line.display_type).sudo().billing_milestone_id
