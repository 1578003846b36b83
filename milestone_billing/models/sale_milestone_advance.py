from odoo import api, fields, models

from .sale_milestone import AMOUNT_GROUPS
from .taxed_amount import TaxedAmount


class SaleMilestone(models.Model):
    """What the invoice of a milestone recovers of the advances of its order."""

    _inherit = "sale.milestone"

    advance_recovered = fields.Monetary(
        compute="_compute_advance_recovered",
        compute_sudo=True,
        groups=AMOUNT_GROUPS,
        help="Advance deducted on posted invoices less what credit notes gave back, taxes included.",
    )
    advance_recovered_untaxed = fields.Monetary(
        compute="_compute_advance_recovered", compute_sudo=True, groups=AMOUNT_GROUPS
    )

    @api.depends("invoice_line_ids.parent_state", "order_id.order_line.invoice_lines.price_total")
    def _compute_advance_recovered(self):
        by_milestone = self._get_recovery_lines().grouped("advance_milestone_id")
        for milestone in self:
            lines = by_milestone.get(milestone._origin, self.env["account.move.line"])
            posted = lines.filtered(lambda line: line.parent_state == "posted")
            milestone.advance_recovered = posted._get_recovered_amount()
            milestone.advance_recovered_untaxed = posted._get_recovered_amount(untaxed=True)

    def _get_recovery_lines(self):
        """Return the lines that recover advances on the invoices of these milestones, of any state."""
        return self.env["account.move.line"].sudo().search([("advance_milestone_id", "in", self.ids)])

    def _get_advance_recovery(self):
        """Return what invoices of ``self`` made now, one after the other, recover of the advances.

        :return: ``{milestone: [(order line of the advance, TaxedAmount), ...]}``, amounts positive
        """
        recovery = {milestone: [] for milestone in self}
        for order, milestones in self.grouped("order_id").items():
            pools = order._get_advance_pools()
            if not pools:
                continue
            weights = order._get_unbilled_weights()
            for milestone in milestones.sorted(lambda milestone: (milestone.sequence, milestone.id)):
                own = weights.pop(milestone, {})
                for key, balances in pools.items():
                    recovery[milestone] += milestone._recover(key, balances, own, weights.values())
        return recovery

    def _recover(self, key, balances, own, others):
        """Take out of ``balances``, the advances with one set of taxes, what this milestone recovers."""
        currency, none = self.currency_id, TaxedAmount()
        available = TaxedAmount()
        for balance in balances.values():
            available = available.plus(balance)
        part = own.get(key, none)
        rest = none
        for weight in others:
            rest = rest.plus(weight.get(key, none))
        if currency.compare_amounts(part.untaxed, 0.0) <= 0 or currency.compare_amounts(available.untaxed, 0.0) <= 0:
            return []
        wanted, room, pieces = self._get_recovered_part(available, part, rest), part, []
        has_rest = currency.compare_amounts(rest.untaxed, 0.0) > 0
        for line, balance in list(balances.items()):
            is_whole = currency.compare_amounts(wanted.untaxed, balance.untaxed) >= 0
            if is_whole and has_rest and currency.compare_amounts(balance.total, room.total) > 0:
                # its taxes are more than what is billed now: who takes the last unit takes them
                wanted, is_whole = wanted.less_a_unit(currency), False
            if is_whole:
                piece = balances.pop(line)
            else:
                piece = wanted
                balances[line] = balance.minus(piece).rounded(currency)
            wanted, room = wanted.minus(piece).rounded(currency), room.minus(piece)
            if not currency.is_zero(piece.untaxed):
                pieces.append((line, piece))
            if currency.compare_amounts(wanted.untaxed, 0.0) <= 0:
                break
        return pieces

    def _get_recovered_part(self, available, part, rest):
        """Return how much of an advance this milestone recovers: exact in each component, never more than it bills.

        :param available: what is left of the advances
        :param part: what this milestone bills
        :param rest: what the milestones after it bill
        """
        currency = self.currency_id
        is_last = currency.compare_amounts(rest.untaxed, 0.0) <= 0
        if self.order_id.milestone_advance_recovery == "first_in" or is_last:
            if currency.compare_amounts(available.untaxed, part.untaxed) < 0:
                return available
            return available.clamped(TaxedAmount(), part)
        wanted = available.share(part, part.plus(rest), currency)
        return wanted.clamped(available.minus(rest), part).rounded(currency)

    # -- what is not billed yet --------------------------------------------------------------------------

    def _get_unbilled_untaxed(self):
        """Return what neither an invoice (drafts included) nor a posted credit note leaves billed, untaxed."""
        self.ensure_one()
        lines = self.invoice_line_ids.filtered(
            lambda line: (
                line.display_type == "product"
                and (line.parent_state == "posted" or (line.parent_state == "draft" and line._is_milestone_bill()))
            )
        )
        return self.currency_id.round(self.amount_untaxed - lines._get_billed_amount())

    def _is_billed_in_full(self):
        self.ensure_one()
        return self.currency_id.compare_amounts(self._get_unbilled_untaxed(), 0.0) <= 0

    def _is_partly_billed(self):
        self.ensure_one()
        return self.currency_id.compare_amounts(self._get_unbilled_untaxed(), self.amount_untaxed) < 0

    def _get_unbilled_base_lines(self):
        """Return the base lines of the tax engine for what is left to bill after a credit note."""
        self.ensure_one()
        engine = self.env["account.tax"]
        base_lines = [
            line._prepare_base_line_for_taxes_computation(
                extra_tax_data=line._get_unbilled_tax_data(line.product_uom_qty, line.price_unit)
            )
            for line in self.order_line_ids
        ]
        engine._add_tax_details_in_base_lines(base_lines, self.company_id)
        engine._round_base_lines_tax_details(base_lines, self.company_id)
        return base_lines

    # -- queue -----------------------------------------------------------------------------------------------

    @api.model
    def _cron_process_invoice_queue(self):
        """Advances first: what is approved in the same minute recovers them already."""
        if self.env["sale.order"]._process_advance_queue():
            super()._cron_process_invoice_queue()
