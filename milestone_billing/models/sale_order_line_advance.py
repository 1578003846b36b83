from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tools import format_date

from .taxed_amount import TaxedAmount

# What an advance is: its amounts are those of its invoices and nothing else.
FROZEN_FIELDS = frozenset(
    {"order_id", "display_type", "is_downpayment", "product_id", "product_uom_qty", "invoice_lines", "qty_invoiced"}
)


class SaleOrderLine(models.Model):
    """An advance: one native down payment line per set of taxes.

    Its invoice lines are its ledger. The advance invoice adds to it, each recovery on a milestone's
    invoice takes from it, and credit notes do the opposite; so the client sees one line per set of
    taxes, nothing has to be cut into pieces beforehand, and what is credited, edited or cancelled
    is taken into account by itself. Quantities follow the amounts: a recovery of a third takes a
    third of the quantity.
    """

    _inherit = "sale.order.line"

    is_milestone_advance = fields.Boolean(string="Advance on Milestones", readonly=True, copy=False)

    @api.model_create_multi
    def create(self, vals_list):
        if any("is_milestone_advance" in vals for vals in vals_list):
            self._refuse_advance_mark()
        if "default_is_milestone_advance" in self.env.context:
            context = {key: val for key, val in self.env.context.items() if key != "default_is_milestone_advance"}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        return super().create(vals_list)

    def write(self, vals):
        if "is_milestone_advance" in vals:
            self._refuse_advance_mark()
        names = FROZEN_FIELDS.intersection(vals)
        for line in self.filtered("is_milestone_advance") if names else ():
            if any(line._is_changed_by(name, vals[name]) for name in names):
                raise UserError(
                    self.env._(
                        "%(line)s is an advance: its amounts follow from its invoices. "
                        "Credit or cancel the advance invoice instead.",
                        line=line.name,
                    )
                )
        return super().write(vals)

    def _refuse_advance_mark(self):
        raise AccessError(self.env._("An advance comes about by its invoice."))

    # -- the ledger -------------------------------------------------------------------------------------

    def _get_advance_bills(self):
        """Return the invoice lines that ask for the advance, or credit it; the others recover it."""
        return self.invoice_lines.filtered(lambda line: not line.advance_milestone_id)

    def _get_advance_balance(self, drafts=False):
        """Return the :class:`TaxedAmount` that is left to recover.

        An advance counts once it is posted, a recovery from its draft on, and a credit note, of
        whatever, once it is posted.

        :param bool drafts: count the draft invoices of the advance too
        """
        self.ensure_one()
        balance = TaxedAmount(untaxed=0.0)
        for line in self.invoice_lines:
            is_invoice = line.move_type == "out_invoice"
            counts = line.parent_state == "posted" or (
                line.parent_state == "draft" and is_invoice and (drafts or line.advance_milestone_id)
            )
            if counts:
                balance = balance.plus(line._get_taxed_amount(), 1 if is_invoice else -1)
        return balance.rounded(self.currency_id)

    def _get_advance_taxes(self):
        """Return the taxes that were asked for with the advance; an accountant may have changed them."""
        lines = self._get_advance_bills().filtered(lambda line: line.parent_state == "posted")
        return lines[:1].tax_ids if lines else self.tax_ids

    def _get_advance_key(self):
        return frozenset(self._get_advance_taxes().flatten_taxes_hierarchy().ids)

    # -- native amounts ---------------------------------------------------------------------------------

    @api.depends("invoice_lines.amount_currency", "invoice_lines.advance_milestone_id")
    def _compute_qty_invoiced(self):
        super()._compute_qty_invoiced()

    def _prepare_qty_invoiced(self):
        quantities = super()._prepare_qty_invoiced()
        for line in self.filtered("is_milestone_advance"):
            quantities[line] = line._get_advance_quantity(
                line._get_invoice_lines().filtered(lambda invoice_line: invoice_line.parent_state != "cancel")
            )
        return quantities

    @api.depends("invoice_lines.amount_currency", "invoice_lines.advance_milestone_id")
    def _compute_qty_invoiced_posted(self):
        super()._compute_qty_invoiced_posted()
        for line in self.filtered("is_milestone_advance"):
            line.qty_invoiced_posted = line._get_advance_quantity(
                line.invoice_lines.filtered(lambda invoice_line: invoice_line.parent_state == "posted")
            )

    def _get_advance_quantity(self, invoice_lines):
        """Return the share of the advance, 0–1, that is neither credited nor recovered by ``invoice_lines``."""
        self.ensure_one()
        net = invoice_lines._get_billed_amount()
        asked = invoice_lines.filtered(
            lambda line: not line.advance_milestone_id and line.move_type == "out_invoice"
        )._get_billed_amount()
        return net / asked if asked and not self.currency_id.is_zero(net) else 0.0

    @api.depends(
        "is_milestone_advance",
        "invoice_lines.parent_state",
        "order_id.milestone_ids.billing_state",
        "order_id.milestone_ids.on_hold",
    )
    def _compute_amount_to_invoice(self):
        """What is due is due less the advance that its invoice recovers."""
        super()._compute_amount_to_invoice()
        for order, lines in self.filtered("is_milestone_advance").grouped("order_id").items():
            due = order.milestone_ids.filtered(
                lambda milestone: milestone.billing_state == "to_invoice" and milestone._is_gate_open()
            )
            recovery = [piece for pieces in due._get_advance_recovery().values() for piece in pieces]
            for line in lines:
                drafts = line.invoice_lines.filtered(
                    lambda invoice_line: (
                        invoice_line.advance_milestone_id
                        and invoice_line.parent_state == "draft"
                        and invoice_line.move_type == "out_invoice"
                    )
                )
                planned = sum(amount.total for advance, amount in recovery if advance == line)
                line.amount_to_invoice = sum(drafts.mapped("price_total")) - planned

    def _is_billed_by_ledger(self):
        return self.is_milestone_advance or super()._is_billed_by_ledger()

    def _compute_untaxed_amount_to_invoice(self):
        """Odoo looks at prices here, once a discount differs; an advance is its amounts."""
        super()._compute_untaxed_amount_to_invoice()
        for line in self.filtered("is_milestone_advance"):
            line.untaxed_amount_to_invoice = -line.untaxed_amount_invoiced if line.state == "sale" else 0.0

    # -- invoicing ----------------------------------------------------------------------------------------

    def _lock_advances(self):
        """Let nobody else recover, credit or cancel the same advance at the same time.

        The row is written: whoever comes second with an older view of the advance is retried with
        a fresh one, instead of recovering the same amount again.
        """
        if self:
            self.flush_recordset(["sequence"])
            self.env.cr.execute(
                "UPDATE sale_order_line SET sequence = sequence WHERE id IN %s", [tuple(sorted(self.ids))]
            )

    def _prepare_recovery_line(self, milestone, amount, sequence):
        """Return the values of the invoice line that deducts ``amount`` of the advance."""
        self.ensure_one()
        taxes = self._get_advance_taxes()
        included = taxes.flatten_taxes_hierarchy().filtered("price_include")
        price_unit = amount.untaxed + sum(amount.get((tax.id, "tax"), 0.0) for tax in included)
        base_line = self._prepare_base_line_for_taxes_computation(tax_ids=taxes)
        base_line.update(quantity=-1.0, price_unit=price_unit, discount=0.0, manual_total_excluded=None)
        by_tax = {
            tax: (-amount[tax.id, "tax"], -amount[tax.id, "base"])
            for tax in self.env["account.tax"].browse(amount.tax_ids)
        }
        return self._prepare_invoice_line(
            name=self._get_recovery_description(milestone),
            sequence=sequence,
            quantity=-1.0,
            price_unit=price_unit,
            discount=0.0,
            tax_ids=[Command.set(taxes.ids)],
            extra_tax_data=self._prepare_fixed_tax_data(base_line, -amount.untaxed, by_tax),
            advance_milestone_id=milestone.id,
            **self._get_advance_account(),
        )

    def _get_advance_account(self):
        """Return the account of the advance, for what is booked back: not the one that a recovery was moved to."""
        posted = self._get_advance_bills().filtered(lambda line: line.parent_state == "posted")
        return {"account_id": posted.account_id[:1].id} if posted else {}

    def _get_recovery_description(self, milestone):
        self.ensure_one()
        line = self.with_context(lang=self.order_id._get_lang())
        invoice = line._get_advance_bills().move_id.filtered(
            lambda move: move.state == "posted" and move.move_type == "out_invoice"
        )[:1]
        return line.env._(
            "Recovery of advance %(invoice)s of %(date)s: %(milestone)s",
            invoice=invoice.name,
            date=format_date(line.env, invoice.invoice_date),
            milestone=milestone.name,
        )
