from odoo import fields
from odoo.fields import Command

from .common import MilestoneCommon

TERMS = {"base", "cap", "reduced_percentage", "reduced_after", "method", "trigger", "date", "days"}


class RetentionCommon(MilestoneCommon):
    """A company with a retention account, and contracts that keep an amount back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.retention_account = cls.company._create_retention_account()
        cls.trade_account = cls.client_company.property_account_receivable_id
        cls.today = fields.Date.context_today(cls.env.user)

    @classmethod
    def _create_retained(cls, amounts, percentage=10.0, **values):
        terms = {f"milestone_retention_{name}" if name in TERMS else name: value for name, value in values.items()}
        return cls._create_contract(amounts, milestone_retention_percentage=percentage, **terms)

    @classmethod
    def _entries(cls, move):
        """Return {account: (debit, credit)} of a document, summed by account."""
        entries = {}
        for line in move.line_ids.filtered("account_id"):
            debit, credit = entries.get(line.account_id, (0.0, 0.0))
            entries[line.account_id] = (round(debit + line.debit, 2), round(credit + line.credit, 2))
        return entries

    @classmethod
    def _create_currency(cls, name, rounding, rates):
        """Make a currency of our own, so that no other test's rates get in the way; ``rates`` by date."""
        currency = cls.env["res.currency"].create({"name": name, "symbol": name, "rounding": rounding})
        for day, rate in rates.items():
            cls.env["res.currency.rate"].create(
                {"currency_id": currency.id, "company_id": cls.company.id, "name": day, "rate": rate}
            )
        return currency

    @classmethod
    def _items(cls, order):
        return order._get_retention_items()

    def _release(self, order, amount=None, user=None, **values):
        """Release as an accountant does: with the dialog."""
        order = order.with_user(user or self.users["accountant"])
        action = order.action_release_retention()
        wizard = self.env[action["res_model"]].with_user(order.env.user).with_context(**action["context"])
        wizard = wizard.create({**({"amount": amount} if amount is not None else {}), **values})
        return self.env["sale.retention.release"].browse(wizard.action_confirm()["res_id"])

    def assertListIsLedger(self, *orders):
        """The list agrees with the account, the documents and the contracts, to the smallest unit."""
        self.env.flush_all()
        self.env.invalidate_all()
        for check in self.env["sale.retention.check"].search([("company_id", "=", self.company.id)]):
            self.assertMoney(check.currency_id, check.difference, 0.0, f"{check.listed} / {check.ledger}")
            self.assertMoney(check.company_currency_id, check.difference_company, 0.0)
        for order in orders:
            currency = order.currency_id
            rows = self.env["sale.retention.report"].search([("order_id", "=", order.id)])
            items = order.retention_line_ids.filtered(lambda line: line.parent_state == "posted")
            self.assertEqual(set(rows.ids), set(items.ids))
            for name in ("retained", "released", "paid", "due", "withheld"):
                listed, known = sum(rows.mapped(name)), order[f"retention_{name}"]
                self.assertMoney(currency, listed, known, f"{name}: {listed} / {known}")
            self.assertMoney(currency, order.retention_retained, sum(items.mapped("amount_currency")))
            self.assertMoney(currency, sum(rows.mapped("open")), order.retention_retained - order.retention_paid)
            milestones = order.milestone_ids
            self.assertMoney(currency, sum(milestones.mapped("retention_amount")), order.retention_retained)
            releases = order.retention_release_ids.filtered(lambda release: release.state == "released")
            self.assertMoney(currency, sum(releases.mapped("amount")), order.retention_released)
            self.assertLessEqual(currency.compare_amounts(order.retention_released, order.retention_retained), 0)
            for move in items.move_id:
                self.assertMoney(self.company.currency_id, sum(move.line_ids.mapped("balance")), 0.0)
                self.assertLessEqual(currency.compare_amounts(move.retention_amount, move.amount_total), 0)

    def _edit_lines(self, factor):
        """Return an edit of a draft credit note that credits a share of every line."""

        def edit(refund):
            for line in refund.invoice_line_ids.filtered(lambda line: line.display_type == "product"):
                line.price_unit *= factor

        return edit

    def _plan(self, *amounts):
        return [Command.create({"name": str(amount), "amount_untaxed": amount}) for amount in amounts]
