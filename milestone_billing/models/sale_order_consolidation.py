from odoo import fields, models
from odoo.fields import Command
from odoo.tools import is_html_empty
from odoo.tools.mail import append_content_to_html

# Names of orders in the head of an invoice; every section names its order anyway.
SHOWN_ORDERS = 20


class SaleOrder(models.Model):
    """One invoice for the milestones of several orders of a customer."""

    _inherit = "sale.order"

    def _create_account_invoices(self, invoice_vals_list, final):
        if self.env.context.get("invoice_billing_grouping") == "customer":
            invoice_vals_list = self._merge_by_customer(invoice_vals_list)
        return super()._create_account_invoices(invoice_vals_list, final)

    def _merge_by_customer(self, invoice_vals_list):
        """Merge the values of the orders' invoices where customer and terms are the same."""
        parts_by_key = {}
        for vals in invoice_vals_list:
            order = self._get_invoiced_order(vals)
            parts_by_key.setdefault(order._get_consolidation_key(vals), []).append((order, vals))
        return [self._prepare_consolidated_values(parts) for parts in parts_by_key.values()]

    def _get_invoiced_order(self, invoice_vals):
        """Return the order that the values of an invoice come from."""
        for command in invoice_vals["invoice_line_ids"]:
            if line := self._get_invoiced_order_line(command[2]):
                return line[:1].order_id
        return self.browse()

    def _get_consolidation_key(self, invoice_vals):
        """Return what orders have in common whose milestones come on one invoice.

        The same address may stand for several customers: the customer counts too.
        """
        self.ensure_one()
        names = (
            "company_id",
            "partner_id",
            "currency_id",
            "fiscal_position_id",
            "invoice_payment_term_id",
            "preferred_payment_method_line_id",
            "journal_id",
        )
        return (
            self.partner_id.commercial_partner_id.id,
            *(invoice_vals.get(name) or False for name in names),
            *self._get_consolidation_terms(),
        )

    def _get_consolidation_terms(self):
        """Return further terms in which orders on one invoice agree; others extend the tuple."""
        self.ensure_one()
        # goods are taxed, and their way documented, by where they go
        goods = self.milestone_ids.order_line_ids.filtered(lambda line: line.product_id.type == "consu")
        return (bool(goods) and self.partner_shipping_id.id,)

    def _prepare_consolidated_values(self, parts):
        """Return the values of one invoice.

        :param parts: pairs of an order and the values of its own invoice
        """
        parts = sorted(parts, key=lambda part: (part[0].date_order, part[0].id))  # older orders first
        values = dict(parts[0][1])
        milestones = self.env["sale.milestone"].browse(self.env.context["invoice_billing_milestone_ids"])
        orders = self.browse([order.id for order, _vals in parts])
        scheduled = milestones.filtered(lambda milestone: milestone.order_id in orders)
        if any(order._is_billed_together() for order in orders):
            values["invoice_date"] = scheduled._get_billing_date()
        if len(parts) == 1:
            return values
        columns = {name: [vals.get(name) for _order, vals in parts] for name in values}
        values.update(
            ref=self._join_references(columns["ref"]),
            invoice_origin=self._join_references(columns["invoice_origin"]),
            narration=self._join_notes(columns["narration"]),
            invoice_line_ids=self._join_lines(parts),
            transaction_ids=[
                Command.set([number for commands in columns["transaction_ids"] for number in commands[0][2]])
            ],
        )
        if len(set(columns["payment_reference"])) > 1:
            values["payment_reference"] = False
        if len(set(columns["partner_shipping_id"])) > 1:
            values["partner_shipping_id"] = values["partner_id"]
        return values

    def _join_references(self, names):
        names = list(dict.fromkeys(name for name in names if name))
        text = ", ".join(names[:SHOWN_ORDERS])
        if len(names) > SHOWN_ORDERS:
            text = self.env._("%(names)s and %(count)s more", names=text, count=len(names) - SHOWN_ORDERS)
        return text

    def _join_notes(self, notes):
        """Terms and conditions of all orders, each once."""
        joined = ""
        for note in dict.fromkeys(note for note in notes if not is_html_empty(note)):
            joined = append_content_to_html(joined, note, plaintext=False) if joined else note
        return joined or False

    def _join_lines(self, parts):
        """Return the line commands of all orders; each section tells which order it is of."""
        commands = []
        for order, vals in parts:
            title = f"{order.name} ({order.client_order_ref})" if order.client_order_ref else order.name
            for code, number, line_vals in vals["invoice_line_ids"]:
                line_vals = {**line_vals, "sequence": len(commands)}
                if line_vals.get("display_type") == "line_section":
                    line_vals["name"] = f"{title} – {line_vals['name']}"
                commands.append((code, number, line_vals))
        return commands


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    def _get_billing_date(self):
        """Return the latest billing day that has come, or today, in the time zone of the company."""
        company = self.company_id[:1]
        now = fields.Datetime.now()
        due = [milestone.invoice_queued_on for milestone in self if milestone.invoice_queued_on]
        moment = max((moment for moment in due if moment <= now), default=now)
        return fields.Datetime.context_timestamp(company._localize(self), moment).date()
