from odoo import api, fields, models

from .res_company_statement import STATEMENT_POLICIES

# What a page of the PDF has room for, in lines of the table; the first one has address and title as well.
FIRST_PAGE_LINES = 7
PAGE_LINES = 16
LETTERS_PER_LINE = 75


class SaleOrder(models.Model):
    """Statement (progress billing certificate): what is billed of each milestone, before and with an invoice."""

    _inherit = "sale.order"

    milestone_statement_policy = fields.Selection(
        STATEMENT_POLICIES,
        string="Statement",
        compute="_compute_milestone_statement_policy",
        store=True,
        readonly=False,
        precompute=True,
        help="Whether the mail of an invoice carries the statement of its milestones.",
    )

    @api.depends("company_id")
    def _compute_milestone_statement_policy(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            order.milestone_statement_policy = (order.company_id or self.env.company).milestone_statement_policy

    def _has_statement(self):
        """Whether there is something to state: a confirmed order with milestones."""
        self.ensure_one()
        return self.state == "sale" and bool(self.milestone_ids)

    def _get_statement_values(self, invoice=None):
        """Return what is billed of the order, before ``invoice`` and with it, or to date without an invoice.

        "Before" are documents posted with an earlier accounting date, or on the same date with a lower
        id; for a draft these are all posted ones. All amounts are rounded, in the currency of the
        order; untaxed unless noted; credit notes count negative.

        :param invoice: an invoice or credit note of the order, posted or draft
        :return: dict of

            * ``order``, ``invoice`` (may be empty), ``currency``
            * ``rows``: per milestone a dict of ``milestone``, ``number`` (none of cancelled ones), ``cancelled``,
              ``contract`` (original sum), ``changes`` (approved), ``revised``, ``previous``, ``current`` (this
              invoice), ``to_date``, ``percent`` (0–100 of the revised sum), ``remaining``; and to date
              ``retained`` and ``advance_recovered``
            * ``known_changes``: how many change orders there were when the document was posted; None for all
            * ``subtotal``: their sums, under the same names
            * ``other``: lines of the order without milestone, of which no sum is agreed
            * ``billed``: subtotal and other lines
            * ``advance_invoiced``, ``advance_recovered`` (positive); ``untaxed`` = billed + advance_invoiced
              - advance_recovered; ``tax`` (cash rounding included); ``total`` with taxes; ``retained`` of
              the total; ``due`` = total - retained. Each, like ``other`` and ``billed``, a dict of
              ``previous``, ``current`` and ``to_date``
            * ``advance_remaining``: invoiced and not recovered
        :raises AccessError: for those who may not read the document
        """
        self.ensure_one()
        (invoice or self).check_access("read")
        order = self.sudo()
        invoice = (invoice or self.env["account.move"]).sudo()
        parts = {"previous": order._get_statement_moves(invoice), "current": invoice}
        amounts = {part: order._sum_statement_amounts(moves) for part, moves in parts.items()}
        moves = parts["previous"] | invoice
        retained = order._share_statement_retention(moves)
        milestones = order.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id))
        rows, number, known = [], 0, invoice._get_stated_change_orders(order)
        live = order._get_milestones_after_changes(known)
        for milestone in milestones:
            billed = {part: amounts[part]["milestones"].get(milestone, 0.0) for part in parts}
            number += milestone in live
            if milestone in live or milestone._is_in_contract_history(known) or any(billed.values()):
                rows.append(
                    {
                        "number": number if milestone in live else None,
                        "cancelled": milestone not in live,
                        "milestone": milestone,
                        **milestone._prepare_statement_row(**billed, known=known),
                        "retained": retained.get(milestone, 0.0),
                        "advance_recovered": order.currency_id.round(
                            sum(amounts[part]["recovered_by"].get(milestone, 0.0) for part in parts)
                        ),
                    }
                )
        return {
            "order": order,
            "invoice": invoice,
            "currency": order.currency_id,
            "rows": rows,
            "known_changes": known,
            **order._prepare_statement_totals(rows, amounts),
        }

    def _prepare_statement_totals(self, rows, amounts):
        self.ensure_one()
        round_ = self.currency_id.round

        def column(compute):
            previous, current = (round_(compute(amounts[part])) for part in ("previous", "current"))
            return {"previous": previous, "current": current, "to_date": round_(previous + current)}

        names = ("contract", "changes", "revised", "previous", "current", "to_date", "remaining", "retained")
        subtotal = {name: round_(sum(row[name] for row in rows)) for name in (*names, "advance_recovered")}
        subtotal["percent"] = _get_percent(subtotal["to_date"], subtotal["revised"])
        totals = {
            name: column(lambda part, name=name: part[name])
            for name in ("other", "advance_invoiced", "advance_recovered", "untaxed", "tax", "retained")
        }
        advance = totals["advance_invoiced"]["to_date"] - totals["advance_recovered"]["to_date"]
        return {
            **totals,
            "subtotal": subtotal,
            "billed": column(lambda part: sum(part["milestones"].values()) + part["other"]),
            "total": column(lambda part: part["untaxed"] + part["tax"]),
            "due": column(lambda part: part["untaxed"] + part["tax"] - part["retained"]),
            "advance_remaining": round_(advance),
        }

    @api.model
    def _paginate_statement(self, rows):
        """Return the rows of a statement in lists, one per page of its PDF."""
        pages, room = [[]], FIRST_PAGE_LINES
        for row in rows:
            lines = 1 + len(row["milestone"].name) // LETTERS_PER_LINE
            if pages[-1] and lines > room:
                pages.append([])
                room = PAGE_LINES
            pages[-1].append(row)
            room -= lines
        return pages

    def _get_milestones_after_changes(self, known=None):
        """Return the milestones that the first ``known`` change orders (all by default) leave in the contract."""
        self.ensure_one()
        return self._get_live_milestones()

    def _get_statement_moves(self, invoice):
        """Return the documents of the order that are posted before ``invoice``, or all posted ones."""
        self.ensure_one()
        moves = self.order_line.invoice_lines.move_id.filtered(lambda move: move.state == "posted") - invoice
        if invoice.state != "posted":
            return moves
        return moves.filtered(lambda move: (move.date, move.id) < (invoice.date, invoice.id))

    def _sum_statement_amounts(self, moves):
        """Return what ``moves`` bill of the order; credit notes count negative."""
        self.ensure_one()
        sums = dict.fromkeys(("other", "advance_invoiced", "advance_recovered", "untaxed", "tax", "retained"), 0.0)
        sums.update(milestones={}, recovered_by={})
        for move in moves:
            part = move._get_statement_amounts()[self]
            sums["tax"] += self._convert_for_statement(move, part["tax"])
            for line in part["lines"]:
                amount = self._convert_for_statement(move, -line.amount_currency)
                sums["untaxed"] += amount
                self._add_statement_line(sums, line, amount)
            items = move.line_ids.filtered(lambda line: line.retention_order_id == self)
            sums["retained"] += sum(items.mapped("amount_currency"))
        return sums

    def _add_statement_line(self, sums, line, amount):
        if line.billing_milestone_id:
            by_milestone = sums["milestones"]
            by_milestone[line.billing_milestone_id] = by_milestone.get(line.billing_milestone_id, 0.0) + amount
        elif not any(line.sale_line_ids.mapped("is_downpayment")):
            sums["other"] += amount
        elif line._deducts_advance():
            sums["advance_recovered"] -= amount
            milestone = line.advance_milestone_id
            sums["recovered_by"][milestone] = sums["recovered_by"].get(milestone, 0.0) - amount
        else:
            sums["advance_invoiced"] += amount

    def _convert_for_statement(self, move, amount):
        """Free lines may be billed in another currency; milestones never are."""
        if move.currency_id == self.currency_id:
            return amount
        return move.currency_id._convert(amount, self.currency_id, move.company_id, move.invoice_date or move.date)

    def _share_statement_retention(self, moves):
        """Return {milestone: what ``moves`` retain of it}; the shares add up to what they retain of the order."""
        self.ensure_one()
        shares = {}
        for move in moves:
            for milestone, amount in move._share_retention(self).items():
                shares[milestone] = self.currency_id.round(shares.get(milestone, 0.0) + amount)
        return shares


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    def _get_approved_changes(self, known=None):
        """Return what approved changes add to the original sum, untaxed.

        :param known: only the first so many change orders; all by default
        """
        self.ensure_one()
        return 0.0

    def _is_in_contract_history(self, known=None):
        """Whether the original contract sum or its changes are in part those of this milestone, cancelled or not."""
        self.ensure_one()
        return bool(self.order_line_ids)

    def _prepare_statement_row(self, previous, current, known=None):
        self.ensure_one()
        round_ = self.currency_id.round
        changes = self._get_approved_changes(known)
        revised = round_(self.amount_untaxed - self._get_approved_changes() + changes)
        to_date = round_(previous + current)
        return {
            "contract": round_(revised - changes),
            "changes": changes,
            "revised": revised,
            "previous": round_(previous),
            "current": round_(current),
            "to_date": to_date,
            "percent": _get_percent(to_date, revised),
            "remaining": round_(revised - to_date),
        }


def _get_percent(amount, whole):
    return round(amount / whole * 100, 2) if whole else 0.0
