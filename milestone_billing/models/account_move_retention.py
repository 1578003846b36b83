from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import frozendict

from .sale_order_retention import UNRELEASED


class AccountMove(models.Model):
    """Invoices keep the retention of their milestones back, as a payment term of its own.

    Totals and taxes stay as they are. The receivable is split into the trade terms and one term per
    contract on the retention account. Those journal items are the only record of what is retained:
    they follow the formula while the invoice is a draft, and rest once it is posted. What is billed to
    date is read in superuser mode: the formula needs all documents, also those that the user may not read.
    """

    _inherit = "account.move"

    retention_amount = fields.Monetary(
        string="Retention",
        compute="_compute_retention_amount",
        store=True,
        help="What the client keeps back of this invoice, or what a credit note gives back.",
    )

    @api.depends("line_ids.retention_order_id", "line_ids.amount_currency")
    def _compute_retention_amount(self):
        for move in self:
            items = move.line_ids.filtered("retention_order_id")
            move.retention_amount = abs(sum(items.mapped("amount_currency"))) if items else 0.0

    # -- terms ---------------------------------------------------------------------------------------

    @api.depends("invoice_line_ids.billing_milestone_id", "invoice_line_ids.price_total")
    def _compute_needed_terms(self):
        super()._compute_needed_terms()
        for move in self.filtered(lambda move: move.is_sale_document()):
            if move.needed_terms:
                move.needed_terms = move._add_retention_terms(move.needed_terms)

    @api.depends("needed_terms")
    def _compute_invoice_date_due(self):
        """The invoice is due when its trade part is; its retention has dates of its own."""
        retained = self.filtered(lambda move: any(key.get("retention_order_id") for key in (move.needed_terms or {})))
        super(AccountMove, self - retained)._compute_invoice_date_due()
        for move in retained:
            trade = [key["date_maturity"] for key in move.needed_terms if not key.get("retention_order_id")]
            move.invoice_date_due = max(
                (day for day in trade if day),
                default=move.invoice_date_due or move.invoice_date or fields.Date.context_today(move),
            )

    def _add_retention_terms(self, needed):
        """Return the needed terms with the retention taken out of the last trade terms."""
        self.ensure_one()
        retentions = self._get_retention_terms()
        if not retentions and not self.line_ids.retention_order_id:
            return needed
        trade_account = self._get_trade_receivable_account()
        trade = [
            {
                "date_maturity": key["date_maturity"],
                "amount_currency": values["amount_currency"],
                "balance": values["balance"],
            }
            for key, values in sorted(needed.items(), key=lambda item: item[0]["date_maturity"] or UNRELEASED)
        ]
        terms = {}
        for order, maturity, amount in retentions:
            amount_currency, balance = self._take_from_terms(trade, amount)
            if amount_currency:
                key = {
                    "move_id": self.id,
                    "date_maturity": maturity,
                    "discount_date": False,
                    "retention_order_id": order.id,
                }
                terms[frozendict(key)] = {
                    **self._prepare_term_amounts(amount_currency, balance),
                    "account_id": self._get_retention_account(order).id,
                }
        result = {}
        for term in trade:
            if term["amount_currency"] or term["balance"] or not terms:
                key = {"move_id": self.id, "date_maturity": term["date_maturity"], "discount_date": False}
                result[frozendict(key)] = {
                    **self._prepare_term_amounts(term["amount_currency"], term["balance"]),
                    "account_id": trade_account.id,
                    "retention_order_id": False,
                }
        return {**result, **terms}

    def _prepare_term_amounts(self, amount_currency, balance):
        # a discount for paying early is for paying all: it does not go with a retention
        return {
            "balance": balance,
            "amount_currency": amount_currency,
            "discount_balance": 0.0,
            "discount_amount_currency": 0.0,
        }

    def _take_from_terms(self, terms, amount):
        """Take ``amount`` from the last of the terms, then from those before.

        :return: what was taken, in the currency of the document and in the company's; exact in both
        """
        currency, company_currency = self.currency_id, self.company_id.currency_id
        taken_currency = taken_balance = 0.0
        left = amount
        for term in reversed(terms):
            available = term["amount_currency"]
            sign = -1 if available < 0.0 else 1
            part = sign * min(left, abs(available))
            if currency.is_zero(part):
                continue
            whole = currency.compare_amounts(part, available) == 0
            balance = term["balance"] if whole else company_currency.round(term["balance"] * part / available)
            rest = 0.0 if whole else company_currency.round(term["balance"] - balance)
            if company_currency.is_zero(balance) or (not whole and company_currency.is_zero(rest)):
                continue  # no payment could settle an item that is worth nothing in the company's currency
            term["amount_currency"] = 0.0 if whole else currency.round(available - part)
            term["balance"] = rest
            taken_currency += part
            taken_balance += balance
            left = currency.round(left - abs(part))
        return currency.round(taken_currency), company_currency.round(taken_balance)

    def _get_trade_receivable_account(self):
        self.ensure_one()
        trade = (self.line_ids + self.reversed_entry_id.line_ids).filtered(
            lambda line: (
                line.display_type == "payment_term"
                and not line.retention_order_id
                and line.account_id.account_type == "asset_receivable"
                and not line.account_id.non_trade
            )
        )
        if trade:
            return trade[:1].account_id
        company = self.company_id
        account = (
            self.with_company(company).commercial_partner_id.property_account_receivable_id
            or company.partner_id.with_company(company).property_account_receivable_id
        )
        return self.fiscal_position_id.map_account(account)

    def _get_retention_account(self, order):
        """Return the account of what is retained of ``order``; a credit note gives back on that of its invoice.

        The invoice is read in superuser mode, for its account only: who credits it may not see it by itself.
        """
        self.ensure_one()
        reversed_items = self.reversed_entry_id.sudo().line_ids.filtered(lambda line: line.retention_order_id == order)
        return reversed_items[:1].account_id or self.company_id._get_retention_account()

    def _get_retention_terms(self):
        """Return (order, due date, positive amount) of what the document retains, or gives back."""
        self.ensure_one()
        if self.state != "draft":
            return [
                (line.retention_order_id, line.date_maturity, abs(line.amount_currency))
                for line in self.line_ids.filtered("retention_order_id")
            ]
        terms = []
        for order, base in self._get_retention_bases().items():
            amount = self._get_retention_of_order(order, base)
            if order.currency_id.compare_amounts(amount, 0.0) > 0:
                terms.append((order, order._get_retention_maturity(), amount))
        return terms

    def _get_retention_bases(self):
        """Return {order: what the document bills or credits of it}, positive, on the base of its retention."""
        self.ensure_one()
        bases = {}
        for line in self.sudo().line_ids.filtered("billing_milestone_id"):
            order = line.billing_milestone_id.order_id
            if line.display_type == "product" and order._retains_by_terms():
                by_total = order.milestone_retention_base == "total"
                amount = line.price_total if by_total else self.direction_sign * line.amount_currency
                bases[order] = bases.get(order, 0.0) + amount
        return bases

    def _get_retention_of_order(self, order, base):
        """Return what the document retains of ``order``, or gives back as a credit note."""
        if self.move_type == "out_refund":
            original = self.reversed_entry_id.sudo()
            if original and (
                order in original.line_ids.retention_order_id or original._get_retention_bases().get(order)
            ):
                return self._get_retention_given_back(order, base, original)
            billed, retained = self._get_retention_to_date(order)
            return order.currency_id.round(max(retained - order._get_retention_target(billed - base), 0.0))
        billed, retained = self._get_retention_to_date(order)
        for draft in self._get_older_drafts(order):
            # drafts are made together, before any of them has its terms
            billed += draft._get_retention_bases().get(order, 0.0)
            due = max(order._get_retention_target(billed) - retained, 0.0)
            retained += min(due, draft.amount_total)
        return order.currency_id.round(max(order._get_retention_target(billed + base) - retained, 0.0))

    def _get_retention_given_back(self, order, base, original):
        """Return the share of the credited amount in the retention of its invoice, exact over all credit notes."""
        whole = original._get_retention_bases().get(order, 0.0)
        retained = sum(
            original.line_ids.filtered(lambda line: line.retention_order_id == order).mapped("amount_currency")
        )
        lines = original.reversal_move_ids.line_ids.filtered_domain(self._get_earlier_domain())
        credited = sum(move._get_retention_bases().get(order, 0.0) for move in lines.move_id)
        given_back = -sum(lines.filtered(lambda line: line.retention_order_id == order).mapped("amount_currency"))
        if order.currency_id.is_zero(whole):
            return 0.0
        share = min((credited + base) / whole, 1.0)
        return order.currency_id.round(max(retained * share - given_back, 0.0))

    def _get_earlier_domain(self):
        """Return which journal items count before those of this document.

        Those of posted documents do. When several are posted together, they come one after the
        other; while this one is a draft, see :meth:`_get_older_drafts`.
        """
        together = self.env.context.get("retention_posted_before") or ()
        earlier = fields.Domain("parent_state", "=", "posted") | fields.Domain("move_id", "in", together)
        return earlier & fields.Domain("move_id", "!=", self._origin.id)

    def _get_older_drafts(self, order):
        """Return the draft invoices of ``order`` that come before this draft, so that all are posted as they are."""
        if "retention_posted_before" in self.env.context:
            return self.browse()
        domain = fields.Domain("billing_milestone_id.order_id", "=", order.id)
        domain &= fields.Domain("parent_state", "=", "draft") & fields.Domain("move_id.move_type", "=", "out_invoice")
        if self._origin.id:
            domain &= fields.Domain("move_id", "<", self._origin.id)
        return self.env["account.move.line"].sudo().search(domain).move_id.sorted("id")

    def _get_retention_to_date(self, order):
        """Return what documents before this one billed of ``order`` (on the base), and what they retained."""
        Line = self.env["account.move.line"].sudo()
        earlier = self._get_earlier_domain()
        lines = fields.Domain("billing_milestone_id.order_id", "=", order.id) & fields.Domain(
            "display_type", "=", "product"
        )
        if order.milestone_retention_base == "total":
            credits = lines & fields.Domain("move_id.move_type", "=", "out_refund")
            [[total]] = Line._read_group(lines & earlier, [], ["price_total:sum"])
            [[credited]] = Line._read_group(credits & earlier, [], ["price_total:sum"])
            billed = (total or 0.0) - 2 * (credited or 0.0)
        else:
            [[amount]] = Line._read_group(lines & earlier, [], ["amount_currency:sum"])
            billed = -(amount or 0.0)
        items = fields.Domain("retention_order_id", "=", order.id)
        [[retained]] = Line._read_group(items & earlier, [], ["amount_currency:sum"])
        return billed, retained or 0.0

    def copy_data(self, default=None):
        """A copied document or a credit note gets terms of its own, from what its lines retain."""
        vals_list = super().copy_data(default)
        for move, vals in zip(self, vals_list, strict=True):
            if move.is_sale_document() and move.line_ids.retention_order_id:
                vals["line_ids"] = [
                    command
                    for command in vals["line_ids"]
                    if command[0] != fields.Command.CREATE or command[2].get("display_type") != "payment_term"
                ]
        return vals_list

    # -- posting and what comes after it -------------------------------------------------------------

    def _post(self, soft=True):
        self.filtered(lambda move: move.state == "draft" and move.is_sale_document())._settle_retention()
        posted = super()._post(soft)
        posted._reduce_retention_releases()
        return posted

    def _settle_retention(self):
        """Let drafts retain what they should as of now: others were posted, deleted or credited meanwhile."""
        moves = self.filtered(
            lambda move: (
                move.line_ids.retention_order_id
                or any(order._retains_by_terms() for order in move.sudo().line_ids.billing_milestone_id.order_id)
            )
        ).sorted("id")
        (
            moves.line_ids.retention_order_id | moves.sudo().line_ids.billing_milestone_id.order_id
        )._count_retention_post()
        before = []
        for move in moves:
            if not move.invoice_date:
                move._set_invoice_date_today()
            move.with_context(retention_posted_before=tuple(before))._apply_needed_terms()
            before.append(move.id)

    def _set_invoice_date_today(self):
        """Date a draft as Odoo does when it is posted: an exchange rate that somebody typed stays."""
        self.ensure_one()
        usual = self._get_expected_currency_rate_at(self.create_date.date())
        typed = self if self.invoice_currency_rate != usual else self.browse()
        with self.env.protecting([self._fields["invoice_currency_rate"]], typed):
            self.invoice_date = fields.Date.context_today(self)

    def _apply_needed_terms(self):
        """Make the terms of a draft what they have to be; Odoo does so only when the invoice itself changes."""
        self.ensure_one()
        self._compute_needed_terms()
        needed = {
            key: values for key, values in self.needed_terms.items() if values["amount_currency"] or values["balance"]
        }
        existing = {line.term_key: line for line in self.line_ids if line.term_key}
        commands = []
        for key, values in needed.items():
            line = existing.pop(self._get_term_key(key), None)
            if not line:
                commands.append(fields.Command.create({**key, **values, "display_type": "payment_term"}))
                continue
            changes = {
                name: values[name]
                for name in ("amount_currency", "balance")
                if self.currency_id.compare_amounts(line[name], values[name])
            }
            if "account_id" in values and not line._is_on_account_of_its_kind():
                changes["account_id"] = values["account_id"]
            if changes:
                commands.append(fields.Command.update(line.id, changes))
        commands += [fields.Command.delete(line.id) for line in existing.values()]
        if commands:
            self.with_context(skip_invoice_sync=True, dynamic_unlink=True).write({"line_ids": commands})

    @api.model
    def _get_term_key(self, needed_key):
        """Return the key that a term has as a journal item: Odoo's needed keys carry more than that."""
        names = ["move_id", "date_maturity", "discount_date"]
        if needed_key.get("retention_order_id"):
            names.append("retention_order_id")
        return frozendict({name: needed_key[name] for name in names})

    def _reduce_retention_releases(self):
        """What a credit note gives back cannot stay released."""
        for move in self.filtered(lambda move: move.move_type == "out_refund"):
            original = move.reversed_entry_id.sudo()
            original.line_ids.filtered("retention_order_id").retention_release_line_ids._reduce_to_retained()

    def button_draft(self):
        self._check_retention_unreleased()
        return super().button_draft()

    def _check_retention_unreleased(self):
        """:raises UserError: for invoices whose retention is released"""
        for move in self.filtered(lambda move: move.state == "posted"):
            if any(line.retention_released for line in move.sudo().line_ids):
                raise UserError(
                    self.env._(
                        "The retention of %(invoice)s is released. Cancel the release first, or make a credit note.",
                        invoice=move.display_name,
                    )
                )
