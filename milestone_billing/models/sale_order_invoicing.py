from odoo import models
from odoo.fields import Command


class SaleOrder(models.Model):
    """Where the invoices of an order are made: by milestone, or beside the milestones."""

    _inherit = "sale.order"

    def _get_invoiceable_lines(self, final=False):
        lines = super()._get_invoiceable_lines(final=final)
        wanted = self.env.context.get("invoice_billing_milestone_ids")
        if wanted is None:
            return lines
        return lines.filtered(lambda line: line.billing_milestone_id.id in wanted)

    def _create_invoices(self, grouped=False, final=False, date=None):
        """Lock what is about to be billed: the same milestone cannot be billed by two transactions."""
        open_milestones = self.sudo().milestone_ids.filtered(lambda milestone: milestone._is_gate_open())
        open_milestones.lock_for_update(allow_referencing=True)
        return super()._create_invoices(grouped=grouped, final=final, date=date)

    def _create_account_invoices(self, invoice_vals_list, final):
        if self.env.context.get("invoice_billing_grouping") == "milestone":
            invoice_vals_list = [
                vals for order_vals in invoice_vals_list for vals in self._split_by_milestone(order_vals)
            ]
        for invoice_vals in invoice_vals_list:
            self._merge_heading_of_single_line(invoice_vals)
        self._deduct_advances(invoice_vals_list)
        moves = super()._create_account_invoices(invoice_vals_list, final)
        moves.line_ids.billing_milestone_id._leave_invoice_queue()
        return moves

    def _split_by_milestone(self, invoice_vals):
        """Split the values of an order's invoice into one per milestone, so that all are created at once."""
        commands_by_milestone = {}
        for command in invoice_vals["invoice_line_ids"]:
            line = self._get_invoiced_order_line(command[2])
            commands_by_milestone.setdefault(line.billing_milestone_id.id, []).append(command)
        return [
            {**invoice_vals, "invoice_line_ids": commands} for _milestone, commands in commands_by_milestone.items()
        ]

    def _merge_heading_of_single_line(self, invoice_vals):
        """A single line needs no heading: it bears the name of its milestone itself.

        So its journal item and its line of an electronic invoice bear it too: neither has headings.
        """
        commands = invoice_vals["invoice_line_ids"]
        if len(commands) != 2:
            return
        heading, line = (command[2] for command in commands)
        if (heading.get("display_type"), line.get("display_type")) != ("line_section", "product"):
            return
        source = self._get_invoiced_order_line(line)
        milestone = source.billing_milestone_id
        if not milestone or milestone != self._get_invoiced_order_line(heading).billing_milestone_id:
            return
        rows = line["name"].splitlines()
        if not any(row.startswith(heading["name"]) for row in rows):
            # below the name of the product, which Odoo's forms show apart from the rest
            product = source.product_id.with_context(lang=source.order_id.partner_invoice_id.lang).display_name
            rows.insert(1 if rows[:1] == [product] else 0, heading["name"])
            line["name"] = "\n".join(rows)
        invoice_vals["invoice_line_ids"] = commands[1:]

    def _get_invoiced_order_line(self, line_vals):
        """Return the order line that the values of an invoice line are linked to (may be empty)."""
        ids = [command[1] for command in line_vals.get("sale_line_ids", []) if command[0] == Command.LINK]
        return self.env["sale.order.line"].browse(ids)

    def _force_lines_to_invoice_policy_order(self):
        """A payment makes free lines invoiceable at once; milestones keep waiting for their approval."""
        super()._force_lines_to_invoice_policy_order()
        self.order_line.filtered("billing_milestone_id")._compute_qty_to_invoice()

    def _generate_downpayment_invoices(self):
        """A payment in advance on a milestone contract stays a payment.

        It is reconciled with the agreed advance's invoice, and with the milestones' invoices; an
        invoice for it would come on top of the plan.
        """
        contracts = self.filtered("milestone_ids")
        return super(SaleOrder, self - contracts)._generate_downpayment_invoices()

    def _get_update_prices_lines(self):
        """Amounts of milestones are agreed, not looked up in a pricelist."""
        return super()._get_update_prices_lines().filtered(lambda line: not line.billing_milestone_id)

    def action_update_prices(self):
        """Odoo says that all prices are those of the price list: those of the plan are not."""
        result = super().action_update_prices()
        planned = self.order_line.filtered(lambda line: line.billing_milestone_id and not line.display_type)
        if not planned:
            return result
        message = self.env._(
            "The amounts of milestones stay as they are planned: %(amount)s in all. To plan with the prices of the "
            "price list, undo the plan, update the prices and plan again.",
            amount=self.currency_id.format(sum(planned.mapped("price_subtotal"))),
        )
        self.message_post(body=message)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Milestone Plan"),
                "message": message,
                "type": "warning",
                "sticky": True,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
