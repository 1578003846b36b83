from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .sale_order_retention import UNRELEASED


class AccountMoveLine(models.Model):
    """Journal items that hold a retention: positive on invoices, negative on credit notes.

    They stay on the retention account until they are paid or credited; a release changes when they
    are due, and nothing else. So the ledger, its lock dates and its hashes are never touched by it.
    """

    _inherit = "account.move.line"

    retention_order_id = fields.Many2one(
        "sale.order",
        string="Retention of Contract",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="Contract whose retention the journal item holds.",
    )
    retention_released = fields.Monetary(readonly=True, copy=False, help="How much of the retention is released.")
    retention_release_line_ids = fields.One2many(
        "sale.retention.release.line", "move_line_id", string="Releases", readonly=True, copy=False
    )

    @api.depends("retention_order_id")
    def _compute_term_key(self):
        super()._compute_term_key()
        for line in self.filtered("retention_order_id"):
            if line.term_key:
                line.term_key = type(line.term_key)(
                    {**line.term_key, "retention_order_id": line.retention_order_id._origin.id}
                )

    @api.depends("retention_order_id")
    def _compute_name(self):
        """The ledger says what the item is."""
        super()._compute_name()
        for line in self.filtered("retention_order_id"):
            if line.move_id.inalterable_hash is False and line.display_type == "payment_term":
                reference = line.move_id.payment_reference or ""
                line.name = self.env._("Retention %(reference)s", reference=reference).strip()

    def _compute_account_id(self):
        """Odoo gives the terms of a document one account: what is retained has its own, and the rest not that one."""
        super()._compute_account_id()
        for line in self.filtered(lambda line: line.display_type == "payment_term" and line.parent_state == "draft"):
            if line.move_id.line_ids.retention_order_id and not line._is_on_account_of_its_kind():
                line.account_id = (
                    line.move_id._get_retention_account(line.retention_order_id)
                    if line.retention_order_id
                    else line.move_id._get_trade_receivable_account()
                )

    def _is_on_account_of_its_kind(self):
        """Whether a term is on the account of retentions when it is one, and else on none of that kind."""
        self.ensure_one()
        if self.retention_order_id:
            return self.account_id == self.move_id._get_retention_account(self.retention_order_id)
        return not self.account_id.non_trade

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_retention(vals)
        hidden = {"default_retention_order_id", "default_retention_released", "default_retention_release_line_ids"}
        if not hidden.isdisjoint(self.env.context):
            context = {key: value for key, value in self.env.context.items() if key not in hidden}
            self = self.with_context(context)  # pylint: disable=context-overridden, self-cls-assignment
        lines = super().create(vals_list)
        lines.filtered("retention_order_id")._check_retention_item()
        return lines

    def write(self, vals):
        self._refuse_retention(vals)
        if "retention_order_id" in vals and any(
            line.parent_state == "posted" and line.retention_order_id.id != vals["retention_order_id"] for line in self
        ):
            raise UserError(self.env._("The retention of a posted invoice stays with its contract."))
        if "date_maturity" in vals:
            self._check_retention_maturity(vals["date_maturity"])
        result = super().write(vals)
        if vals.get("retention_order_id"):
            self._check_retention_item()
        return result

    def _refuse_retention(self, vals):
        if not {"retention_released", "retention_release_line_ids"}.isdisjoint(vals):
            raise AccessError(self.env._("Retention is released from its contract, not on the journal item."))

    def _check_retention_item(self):
        for line in self:
            if line.display_type != "payment_term" or not line.move_id.is_sale_document():
                raise UserError(self.env._("Only the terms of customer invoices hold a retention."))

    def _check_retention_maturity(self, day):
        """:raises UserError: when somebody makes a retention due past its release"""
        day = fields.Date.to_date(day)
        for line in self:
            if line.retention_order_id and line.parent_state == "posted" and line.date_maturity != day:
                raise UserError(
                    self.env._(
                        "%(invoice)s: a retention becomes due by its release. Release it on %(order)s.",
                        invoice=line.move_id.display_name,
                        order=line.retention_order_id.display_name,
                    )
                )

    def _write_released(self, released, date_maturity):
        """Note what is released of a posted item, and when it is due; called by releases only."""
        self.ensure_one()
        values = {"retention_released": released}
        if self.date_maturity != date_maturity:
            values["date_maturity"] = date_maturity
        # past our own guard; the amounts stay, so there is nothing for the invoice to balance
        super(AccountMoveLine, self.with_context(skip_invoice_sync=True)).write(values)
        # else whatever touches the invoice next, a reconciliation for one, would take the release back
        self.move_id.invalidate_recordset(["needed_terms"])

    # -- what became of it, in the currency of the document ------------------------------------------

    def _get_retention_credits(self):
        """Return the posted items of credit notes that give back what ``self`` retained."""
        self.ensure_one()
        return self.move_id.sudo().reversal_move_ids.line_ids.filtered(
            lambda line: (
                line.retention_order_id == self.retention_order_id
                and line.parent_state == "posted"
                and line.move_type == "out_refund"
            )
        )

    def _is_retention_credit(self):
        """Whether the item belongs to the one that its credit note reverses.

        The reversal of a credit note is an invoice, and keeps back on its own.
        """
        self.ensure_one()
        return (
            self.move_type == "out_refund"
            and self.retention_order_id in self.move_id.sudo().reversed_entry_id.line_ids.retention_order_id
        )

    def _get_retention_net(self):
        """Return what is retained, less what credit notes gave back; credits count with their invoice.

        A credit note that accountants matched with the retention of another invoice gives it back there.
        """
        self.ensure_one()
        if self._is_retention_credit():
            return 0.0
        items = self + self._get_retention_credits()
        return sum(items.mapped("amount_currency")) - sum(
            item._get_retention_settled(lambda entry: entry.retention_order_id and entry not in items) for item in items
        )

    def _get_retention_settled(self, settles=bool):
        """Return what posted entries settled; a draft that is matched already settles nothing yet.

        Clients read their invoices, and not what they are reconciled with: so the latter is read as superuser.

        :param settles: tells of a journal item whether it counts; by default, all do
        """
        self.ensure_one()
        item = self.sudo()

        def counts(entry):
            return entry.parent_state == "posted" and settles(entry)

        payments = item.matched_credit_ids.filtered(lambda partial: counts(partial.credit_move_id))
        charges = item.matched_debit_ids.filtered(lambda partial: counts(partial.debit_move_id))
        return sum(payments.mapped("debit_amount_currency")) - sum(charges.mapped("credit_amount_currency"))

    def _get_retention_open(self):
        """Return what is neither paid nor credited."""
        self.ensure_one()
        if self._is_retention_credit():
            return 0.0
        items = self + self._get_retention_credits()
        return sum(items.mapped("amount_currency")) - sum(item._get_retention_settled() for item in items)

    def _get_retention_paid(self):
        return self._get_retention_net() - self._get_retention_open()

    def _get_retention_withheld(self):
        """Return what is neither released nor paid."""
        self.ensure_one()
        net = self._get_retention_net()
        return self.currency_id.round(net - max(self.retention_released, self._get_retention_paid(), min(net, 0.0)))

    def _get_retention_owed(self):
        """Return what is released and not paid, whenever it is due."""
        self.ensure_one()
        return self.currency_id.round(max(self.retention_released - max(self._get_retention_paid(), 0.0), 0.0))

    def _get_retention_not_asked(self):
        """Return what is open of an item beyond the part of it that is released."""
        self.ensure_one()
        owed = self._get_retention_owed() if self.retention_order_id else 0.0
        return self.currency_id.round(max(self.amount_residual_currency - owed, 0.0)) if owed else 0.0

    def _get_retention_due(self):
        """Return what is released and not paid, and should be paid by now."""
        self.ensure_one()
        today = fields.Date.context_today(self)
        lines = self.sudo().retention_release_line_ids.filtered(
            lambda line: line.release_id.state == "released" and line.due_date <= today
        )
        return min(
            self._get_retention_owed(),
            self.currency_id.round(max(sum(lines.mapped("amount")) - max(self._get_retention_paid(), 0.0), 0.0)),
        )

    def _get_retention_owed_since(self):
        """Return the due date of the oldest release that is not paid, or None."""
        self.ensure_one()
        paid = max(self._get_retention_paid(), 0.0)
        for line in self.sudo().retention_release_line_ids.sorted(lambda line: (line.due_date, line.id)):
            if line.release_id.state != "released":
                continue
            paid -= line.amount
            if self.currency_id.compare_amounts(paid, 0.0) < 0:
                return line.due_date
        return None

    # -- payments ------------------------------------------------------------------------------------

    def _get_installments_data(self, payment_currency=None, payment_date=None, next_payment_date=None):
        """Tell what is released of a retention from what is not: only the first is asked for."""
        installments = super()._get_installments_data(
            payment_currency=payment_currency, payment_date=payment_date, next_payment_date=next_payment_date
        )
        payment_date = payment_date or fields.Date.context_today(self)
        return [
            part
            for installment in installments
            for part in installment["line"]._split_retention_installment(installment, payment_date)
        ]

    def _split_retention_installment(self, installment, payment_date):
        """Return the installment, or its released and its withheld part; ``withheld`` marks the latter."""
        self.ensure_one()
        if not self.retention_order_id or installment["reconciled"] or not self.amount_residual_currency:
            return [installment]
        owed = min(self._get_retention_owed(), abs(self.amount_residual_currency))
        if self.currency_id.is_zero(owed):
            return [{**installment, "withheld": self.amount_residual_currency > 0.0}]
        if self.currency_id.compare_amounts(owed, self.amount_residual_currency) == 0:
            return [installment]
        balance = self.company_currency_id.round(self.amount_residual * owed / self.amount_residual_currency)
        since = self._get_retention_owed_since()
        released = {
            **installment,
            "date_maturity": since,
            "type": "overdue" if since < payment_date else "next",
            **self._prepare_installment_amounts(owed, balance),
        }
        withheld = {
            **installment,
            "withheld": True,
            "type": "next",
            **self._prepare_installment_amounts(self.amount_residual_currency - owed, self.amount_residual - balance),
        }
        return [released, withheld]

    def _prepare_installment_amounts(self, amount_currency, balance):
        sign = -self.move_id.direction_sign
        return {
            "amount_residual_currency": amount_currency,
            "amount_residual": balance,
            "amount_residual_currency_unsigned": sign * amount_currency,
            "amount_residual_unsigned": sign * balance,
        }

    def _is_unreleased(self):
        self.ensure_one()
        return bool(self.retention_order_id) and self.date_maturity == UNRELEASED
