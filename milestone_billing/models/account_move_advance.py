from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Command


class AccountMove(models.Model):
    """An advance is recovered as far as it was invoiced, and no further.

    That is looked up, and exchange differences are booked, in superuser mode: it follows from what
    somebody may post, who need not read all documents of the order.
    """

    _inherit = "account.move"

    def _post(self, soft=True):
        posted = super()._post(soft)
        posted._settle_advances()
        return posted

    def button_draft(self):
        result = super().button_draft()
        self._settle_advances()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self._settle_advances()
        return result

    def unlink(self):
        advances = self._get_advances()
        result = super().unlink()
        advances.exists()._check_advance_balance()
        return result

    def _get_advances(self):
        return self.sudo().line_ids.sale_line_ids.filtered("is_milestone_advance")

    def _get_advance_recovery_lines(self):
        """Return the lines of these invoices and credit notes that recover advances, or give them back."""
        return self.line_ids.filtered("advance_milestone_id")

    def _settle_advances(self):
        advances = self._get_advances()
        if not advances:
            return
        advances._lock_advances()
        advances._check_advance_balance()
        for move in self.filtered(lambda move: move.state == "posted"):
            bills = move.sudo().line_ids.filtered(lambda line: not line.advance_milestone_id)
            if move.move_type == "out_invoice":
                bills.sale_line_ids.filtered("is_milestone_advance").order_id._check_advance_within_plan()
        advances._settle_exchange_difference()


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _check_advance_balance(self):
        """:raises UserError: when more of an advance is recovered than is invoiced"""
        for line in self:
            balance = line._get_advance_balance()
            currency = line.currency_id
            missing = -min(balance.untaxed, balance.total)
            if currency.compare_amounts(missing, 0.0) <= 0:
                continue
            raise UserError(
                self.env._(
                    "%(order)s: milestones have recovered %(amount)s more of the advance than would be left of it. "
                    "Credit less of the advance, or credit the invoices of the milestones first.",
                    order=line.order_id.name,
                    amount=currency.format(missing),
                )
            )

    # -- exchange differences -----------------------------------------------------------------------------

    def _settle_exchange_difference(self):
        """Keep the advance account at the rate of the advance.

        A recovery is booked at the rate of its own invoice, for that is the rate of the taxes it
        deducts. What the account then differs from the rest of the advance at its first rate is an
        exchange difference; without an entry for it the account would never come to zero.
        """
        for line in self.filtered(lambda line: line.currency_id != line.company_id.currency_id):
            posted = line.invoice_lines.filtered(lambda invoice_line: invoice_line.parent_state == "posted")
            earlier = line._get_exchange_items()
            difference = line._get_exchange_difference(posted, earlier)
            if not line.company_id.currency_id.is_zero(difference):
                values = line._prepare_exchange_values(posted | earlier, difference)
                self.env["account.move"].sudo().create(values)._post(soft=False)

    def _get_exchange_items(self):
        """Return the posted exchange differences of the advance, on its account."""
        items = self.env["account.move.line"].sudo()
        return items.search([("exchange_advance_line_id", "in", self.ids), ("parent_state", "=", "posted")])

    def _get_exchange_difference(self, posted, earlier):
        """Return how much more the advance account holds, in the company's currency, than the rest of the advance.

        :param posted: the journal items of invoices and credit notes of the advance
        :param earlier: the exchange differences that are booked already
        """
        self.ensure_one()
        asked = posted.filtered(lambda line: not line.advance_milestone_id and line.move_type == "out_invoice")
        amount_currency = sum(asked.mapped("amount_currency"))
        left = sum(posted.mapped("amount_currency"))
        should = sum(asked.mapped("balance")) * left / amount_currency if amount_currency else 0.0
        return self.company_id.currency_id.round(sum((posted | earlier).mapped("balance")) - should)

    def _prepare_exchange_values(self, items, difference):
        self.ensure_one()
        lines = items.with_company(self.company_id)
        journal = lines._get_exchange_journal(self.company_id)
        if not journal:
            raise UserError(
                self.env._(
                    "The advance of %(order)s was invoiced at another exchange rate. "
                    "Choose the journal of exchange differences in the settings of Accounting.",
                    order=self.order_id.name,
                )
            )
        name = self.env._("Exchange difference of the advance of %(order)s", order=self.order_id.name)
        common = {"name": name, "amount_currency": 0.0, "currency_id": self.currency_id.id}
        common["partner_id"] = items.partner_id[:1].id
        return {
            "move_type": "entry",
            "date": max(items.mapped("date")),
            "journal_id": journal.id,
            "ref": name,
            "always_tax_exigible": True,
            "line_ids": [
                Command.create(
                    {
                        **common,
                        "account_id": items.account_id[:1].id,  # when nothing of the advance is posted any more
                        **self._get_advance_account(),
                        "balance": -difference,
                        "exchange_advance_line_id": self.id,
                    }
                ),
                Command.create(
                    {
                        **common,
                        "account_id": lines._get_exchange_account(self.company_id, difference).id,
                        "balance": difference,
                    }
                ),
            ],
        }
