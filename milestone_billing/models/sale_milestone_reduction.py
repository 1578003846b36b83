from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import format_date


class SaleMilestone(models.Model):
    """Reductions of milestones that are billed: approved changes that become credit notes."""

    _inherit = "sale.milestone"

    @api.depends("order_line_ids.is_reduction", "order_line_ids.invoice_lines.parent_state", "on_hold")
    def _compute_billing_state(self):
        return super()._compute_billing_state()

    def _get_billing_state(self):
        """What is to be credited is to be billed, as a credit note."""
        state = super()._get_billing_state()
        return "to_invoice" if state in ("invoiced", "partial", "paid") and self._get_due_reductions() else state

    def _get_due_reductions(self):
        """Return the lines that reduce what is billed already, and are not credited yet."""
        self.ensure_one()
        reductions = self._get_open_reductions()
        if not reductions or not self._is_gate_open():
            return reductions.browse()
        # of any round: a milestone may be open for billing again when it is reduced
        bills = self._get_live_invoice_lines().filtered(lambda line: line._is_milestone_bill())
        if not bills or "draft" in bills.mapped("parent_state"):
            return reductions.browse()
        # somebody may have credited the invoice already
        billed = self._get_posted_invoice_lines()._get_billed_amount()
        return reductions if self.currency_id.compare_amounts(billed, self.amount_untaxed) > 0 else reductions.browse()

    def _get_open_reductions(self):
        """Return the lines that reduce the milestone and are on no live document."""
        self.ensure_one()
        return self.order_line_ids.filtered(lambda line: line.is_reduction and not line._is_credited())

    def _get_billable_amount(self):
        """What is reduced and not credited yet stays billed until then; an invoice counts from its draft on."""
        waiting = self.order_line_ids.filtered(
            lambda line: (
                line.is_reduction
                and not any(
                    bill.parent_state == "posted" or (bill.parent_state == "draft" and bill._is_milestone_bill())
                    for bill in line.invoice_lines
                )
            )
        )
        return super()._get_billable_amount() - sum(waiting.mapped("price_subtotal"))

    def _make_invoices(self, policy, grouping):
        reduced = self.filtered(lambda milestone: milestone._get_due_reductions())
        rest = self - reduced
        moves = super(SaleMilestone, rest)._make_invoices(policy, grouping) if rest else self.env["account.move"]
        return moves | reduced._make_credit_notes(policy) if reduced else moves

    def _make_credit_notes(self, policy):
        """Credit what approved changes reduce of billed milestones, each on the invoice that bills it.

        :raises UserError: when no single invoice bills as much
        """
        self.lock_for_update(allow_referencing=True)
        credits = (
            self.env["account.move"].sudo().create([milestone.sudo()._prepare_credit_note() for milestone in self])
        )
        self._leave_invoice_queue()
        if policy in ("post", "send"):
            credits.action_post()
        if policy == "send":
            credits._queue_milestone_sending()
        return credits

    def _prepare_credit_note(self):
        self.ensure_one()
        reductions = self._get_due_reductions()
        invoice = self._get_invoice_to_credit(-sum(reductions.mapped("price_subtotal")))
        order = self.order_id.with_context(lang=invoice.partner_id.lang)
        change = reductions.change_line_id.request_id.sorted("change_order_number")[-1:]
        return {
            **order._prepare_invoice(),
            "move_type": "out_refund",
            "reversed_entry_id": invoice.id,
            "invoice_payment_term_id": False,
            "journal_id": invoice.journal_id.id,
            # those of the order, unless somebody changed them on the invoice
            "partner_id": invoice.partner_id.id,
            "partner_shipping_id": invoice.partner_shipping_id.id,
            "fiscal_position_id": invoice.fiscal_position_id.id,
            "invoice_origin": order.name,
            "ref": order.env._(
                "%(invoice)s, change order %(number)s of %(date)s",
                invoice=invoice.name,
                number=change.change_order_number,
                date=format_date(order.env, change.applied_on),
            ),
            "invoice_line_ids": [Command.create(line._prepare_credit_line(invoice)) for line in reductions],
        }

    def _get_invoice_to_credit(self, amount):
        """Return the newest posted invoice that bills at least ``amount`` (untaxed) of the milestone."""
        self.ensure_one()
        invoices = self._get_posted_invoice_lines().filtered(lambda line: line._is_milestone_bill()).move_id
        for invoice in invoices.sorted(lambda move: (move.date, move.id), reverse=True):
            lines = (invoice | invoice.reversal_move_ids).line_ids.filtered(
                lambda line: (
                    line.parent_state == "posted"
                    and line.billing_milestone_id == self
                    and line.display_type == "product"
                )
            )
            if self.currency_id.compare_amounts(lines._get_billed_amount(), amount) >= 0:
                return invoice
        billed = self._get_posted_invoice_lines()._get_billed_amount()
        raise UserError(
            self.env._(
                "No invoice bills %(amount)s of %(milestone)s: credit it by hand. "
                "%(excess)s more is billed than what is agreed.",
                amount=self.currency_id.format(amount),
                milestone=self.display_name,
                excess=self.currency_id.format(billed - self.amount_untaxed),
            )
        )


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _is_credited(self):
        """Whether live documents bill the line, as part of an invoice or as a credit note."""
        self.ensure_one()
        lines = self.invoice_lines.filtered(lambda line: line.parent_state != "cancel")
        return not self.currency_id.is_zero(lines._get_billed_amount())

    @api.depends("billing_milestone_id.amount_untaxed")
    def _compute_qty_to_invoice(self):
        super()._compute_qty_to_invoice()

    def _get_milestone_qty_to_invoice(self):
        """A reduction goes with the invoice of its milestone; later, it is credited, and nothing else bills it.

        What was opened for billing again, and is reduced to less than is billed, has nothing left to bill.
        """
        self.ensure_one()
        milestone = self.billing_milestone_id
        if milestone.billing_round > 1:
            lines = milestone._get_live_invoice_lines()
            billed = lines.filtered(lambda line: line.parent_state == "posted")._get_billed_amount()
            if lines and self.currency_id.compare_amounts(billed, milestone.amount_untaxed) >= 0:
                return 0.0
        elif self.is_reduction and self._is_credited():
            return 0.0
        return super()._get_milestone_qty_to_invoice()

    @api.depends("is_reduction", "billing_milestone_id.billing_state")
    def _compute_untaxed_amount_to_invoice(self):
        super()._compute_untaxed_amount_to_invoice()
        for line in self.filtered(lambda line: line.is_reduction and line._is_credit_due()):
            line.untaxed_amount_to_invoice = line.price_subtotal

    @api.depends("is_reduction", "billing_milestone_id.billing_state")
    def _compute_amount_to_invoice(self):
        super()._compute_amount_to_invoice()
        for line in self.filtered(lambda line: line.is_reduction and line._is_credit_due()):
            line.amount_to_invoice = line.price_total

    def _is_credit_due(self):
        self.ensure_one()
        return self in self.billing_milestone_id._get_due_reductions()

    def _prepare_credit_line(self, invoice):
        """Return the values of the line of a credit note of ``invoice``, where what is negative here is positive."""
        self.ensure_one()
        values = self._prepare_invoice_line(quantity=-self.product_uom_qty)
        values["price_unit"] = self.price_unit  # wholly, in whatever billing round
        values["extra_tax_data"] = self.env["account.tax"]._reverse_quantity_base_line_extra_tax_data(
            self.extra_tax_data
        )
        return {**values, **self._get_values_to_credit(invoice)}

    def _get_values_to_credit(self, invoice):
        """Return the account and the taxes that somebody changed on the credited line of ``invoice``."""
        bill = self._get_line_to_credit(invoice)
        values = {"account_id": bill.account_id.id} if bill.product_id == self.product_id else {}
        if bill and bill.tax_ids != self.tax_ids:
            values.update(
                tax_ids=[Command.set(bill.tax_ids.ids)],
                price_unit=self._add_included_taxes(-self.price_subtotal, bill.tax_ids),
                extra_tax_data=False,
            )
        return values

    def _get_line_to_credit(self, invoice):
        """Return the largest line of ``invoice`` that bills what this one reduces: of its kind, or of its taxes."""

        def get_rank(bill):
            return bill.sale_line_ids._get_change_kind() == self._get_change_kind(), bill._get_billed_amount()

        bills = invoice.line_ids.filtered(
            lambda bill: (
                bill.display_type == "product"
                and bill.billing_milestone_id == self.billing_milestone_id
                and bill.sale_line_ids.tax_ids == self.tax_ids
            )
        )
        return bills.sorted(get_rank)[-1:]

    @api.depends(
        "billing_milestone_id.state",
        "billing_milestone_id.amount_untaxed",
        "billing_milestone_id.amount_invoiced",
        "change_line_id",
    )
    def _compute_invoice_status(self):
        """What changes left of a milestone may be billed already, or come to nothing: there is no more to invoice."""
        super()._compute_invoice_status()
        for line in self:
            if line.state == "sale" and not line.display_type and line._is_settled_by_changes():
                line.invoice_status = "invoiced"

    def _is_settled_by_changes(self):
        """Whether the milestone was cancelled, or credit notes by hand took what was reduced."""
        self.ensure_one()
        milestone = self.billing_milestone_id
        if not milestone or milestone.state == "cancelled":
            return bool(milestone)
        if self.invoice_status != "no" or not milestone._get_open_reductions():
            return False
        if not (self.invoice_lines or self.is_reduction):
            return False
        billed = milestone._get_posted_invoice_lines()._get_billed_amount()
        return self.currency_id.compare_amounts(billed, milestone.amount_untaxed) == 0
