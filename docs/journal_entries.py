"""Make the journal entries of each case in a real database; `make journal-entries` puts them into accountant.md.

`tables(env)` returns them as Markdown and leaves the database as it was.
"""

import re
from datetime import date

from odoo import fields
from odoo.fields import Command

NEVER = date(2999, 12, 31)
PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Rollback(Exception):
    """Ends the transaction of a case."""


class Books:
    """A company with what the cases need, the steps of a contract, and the entries that each step makes."""

    def __init__(self, env):
        self.env = env(context={**env.context, "lang": "en_US", "tracking_disable": True})
        self.company = self.env.company
        self.tax_15 = self.company.account_sale_tax_id
        self.tax_10 = self.tax_15.copy({"name": "10%", "amount": 10.0})
        self.product = self.env["product.product"].create(
            {"name": "Fixed price work", "type": "service", "taxes_id": [Command.set(self.tax_15.ids)]}
        )
        account = self.env["account.account"].create(
            {"code": "252900", "name": "Advances Received", "account_type": "liability_current"}
        )
        self.company.write(
            {
                "downpayment_account_id": account.id,
                "milestone_product_id": self.product.id,
                "milestone_create_project": False,
                "milestone_invoice_policy": "post",
                "milestone_retention_account_id": self.company._create_retention_account().id,
            }
        )
        self.client = self.env["res.partner"].create({"name": "Client", "is_company": True, "email": "c@example.com"})
        self.known = self.env["account.move.line"].search([])
        self.rows = []

    # -- steps -----------------------------------------------------------------------------------------

    def contract(self, *amounts, currency=None, lines=(), shares=(), **terms):
        values = {"partner_id": self.client.id, "milestone_approver_ids": [Command.set(self.client.ids)]}
        if currency:
            pricelist = self.env["product.pricelist"].create({"name": currency.name, "currency_id": currency.id})
            values["pricelist_id"] = pricelist.id
        values["milestone_ids"] = [
            Command.create({"name": f"Milestone {number}", "sequence": number, "amount_untaxed": amount})
            for number, amount in enumerate(amounts, 1)
        ]
        values["order_line"] = [
            Command.create({"product_id": self.product.id, "price_unit": price, "tax_ids": [Command.set(tax.ids)]})
            for price, tax in lines
        ]
        order = self.env["sale.order"].create({**values, "milestone_invoice_policy": "post", **terms})
        if shares:
            order._split_into_milestones(shares)
        for milestone in order.milestone_ids:
            milestone.deliverable_ids = [Command.create({"name": "Report", "url": "https://example.com/report"})]
        order.action_confirm()
        return order

    def bill(self, milestone, what):
        milestone.action_start()
        milestone.action_submit()
        self.approve(milestone)
        milestone.action_create_invoices()
        self.note(what)
        return milestone.invoice_line_ids.move_id.sorted("id")[-1]

    def approve(self, subject):
        """Let the client approve a milestone or a change request."""
        subject._approve(
            {
                "partner": self.client,
                "method": "link",
                "snapshot_hash": subject.approval_id.snapshot_hash,
                "signed_by": "Client",
                "signature": PIXEL,
                "consent": "I approve.",
                "ip_address": "192.0.2.7",
                "user_agent": "Browser",
            }
        )

    def change(self, order, *lines):
        """Change the contract by a request that both sides approve; it books nothing by itself."""
        request = self.env["sale.change.request"].create(
            {
                "order_id": order.id,
                "title": "Change",
                "reason": "Agreed",
                "line_ids": [Command.create(line) for line in lines],
            }
        )
        request.action_submit()
        self.approve(request)
        self.note("change order")

    def ask_advance(self, order):
        order.action_invoice_advance()
        self.note("advance: invoice after the confirmation")
        return order.invoice_ids

    def pay(self, invoice, what, amount=None):
        wizard = self.env["account.payment.register"].with_context(active_model="account.move", active_ids=invoice.ids)
        wizard = wizard.create({})
        if amount is not None:
            wizard.amount = amount
        wizard._create_payments()
        self.note(what)

    def credit(self, invoice, share, what):
        wizard = self.env["account.move.reversal"].with_context(active_model="account.move", active_ids=invoice.ids)
        wizard = wizard.create({"journal_id": invoice.journal_id.id})
        wizard.reverse_moves()
        for line in wizard.new_move_ids.invoice_line_ids.filtered(lambda line: line.display_type == "product"):
            line.price_unit *= share
        wizard.new_move_ids.action_post()
        self.note(what)

    def rate(self, currency, rate):
        currency.rate_ids.unlink()
        self.env["res.currency.rate"].create(
            {"currency_id": currency.id, "company_id": self.company.id, "name": "2020-01-01", "rate": rate}
        )

    # -- what they leave in the ledger -----------------------------------------------------------------

    def note(self, what):
        """Keep the posted journal items that are new, summed by entry, account and due date."""
        self.env.flush_all()
        items = self.env["account.move.line"].search([("parent_state", "=", "posted"), ("account_id", "!=", False)])
        rows = {}
        for item in (items - self.known).sorted("id"):
            key = (item.move_id, item.account_id, self.due(item), item.currency_id)
            balance, amount = rows.get(key, (0.0, 0.0))
            rows[key] = (balance + item.balance, amount + item.amount_currency)
        entry = None
        for key in sorted(rows, key=lambda key: (key[0].id, rows[key][0] < 0, key[1].code)):
            move, account, due, currency = key
            balance, amount = rows[key]
            if self.company.currency_id.is_zero(balance) and currency.is_zero(amount):
                continue
            if move.move_type == "entry" and not move.origin_payment_id:
                label = "exchange difference"
            else:
                label = what
            self.rows.append((label if move != entry else "", account, balance, amount, currency, due))
            entry = move
        self.known = items

    def due(self, item):
        if item.display_type != "payment_term":
            return ""
        if item.date_maturity == NEVER:
            return "on release"
        days = (item.date_maturity - fields.Date.context_today(item)).days
        return f"{days} days" if days else "at once"

    def table(self):
        foreign = any(currency != self.company.currency_id for *_rest, currency, _due in self.rows)
        head = ["what happens", "account", "debit", "credit", *(["in currency"] if foreign else []), "due"]
        sides = ["---", "---", "---:", "---:", *(["---:"] if foreign else []), "---"]
        lines = [head, sides]
        for what, account, balance, amount, currency, due in self.rows:
            debit = f"{balance:,.2f}" if balance > 0 else ""
            credit = f"{-balance:,.2f}" if balance < 0 else ""
            in_currency = [f"{amount:,.2f} {currency.name}"] if foreign else []
            lines.append([what, f"{account.code} {account.name}", debit, credit, *in_currency, due])
        return "\n".join(re.sub(r" +", " ", f"| {' | '.join(line)} |") for line in lines)


def plain(books):
    """A milestone of 10,000.00 with 15 % tax."""
    order = books.contract(10000.0)
    books.pay(books.bill(order.milestone_ids, "approval: invoice"), "payment")


def divided(books):
    """6,000.00 with 15 % and 4,000.00 with 10 % tax, divided into a quarter and three quarters."""
    order = books.contract(lines=[(6000.0, books.tax_15), (4000.0, books.tax_10)], shares=[25.0, 75.0])
    for number, milestone in enumerate(order.milestone_ids, 1):
        books.bill(milestone, f"milestone {number}: invoice")


def pro_rata(books):
    """Milestones of 4,000.00 and 6,000.00, an advance of 20 % that each invoice recovers in proportion."""
    order = books.contract(4000.0, 6000.0, **ADVANCE)
    books.pay(books.ask_advance(order), "payment of the advance")
    for number, milestone in enumerate(order.milestone_ids, 1):
        books.bill(milestone, f"milestone {number}: invoice, less the recovery")


def first_in(books):
    """The same, recovered first in: until the advance is used up."""
    order = books.contract(4000.0, 6000.0, **{**ADVANCE, "milestone_advance_recovery": "first_in"})
    books.ask_advance(order)
    for number, milestone in enumerate(order.milestone_ids, 1):
        books.bill(milestone, f"milestone {number}: invoice")


def retained(books):
    """Two milestones of 5,000.00, 10 % of the untaxed amount retained, at most 8 % of the contract."""
    order = books.contract(5000.0, 5000.0, milestone_retention_percentage=10.0, milestone_retention_cap=8.0)
    first, second = order.milestone_ids
    invoices = [books.bill(first, "milestone 1: invoice"), books.bill(second, "milestone 2: invoice, up to the cap")]
    books.pay(invoices[0], "payment of what is due on the first")
    order._release_retention(announce=False)
    books.note("release")  # moves the due date and books nothing
    books.pay(invoices[0], "payment of its released retention")


def credited(books):
    """A milestone of 10,000.00 with 10 % retained; 40 % of it are credited and billed again."""
    order = books.contract(10000.0, milestone_retention_percentage=10.0)
    milestone = order.milestone_ids
    books.credit(books.bill(milestone, "invoice"), 0.4, "credit note")
    milestone.action_rebill()
    milestone.action_create_invoices()
    books.note("*Bill Again*, and *Create Invoice*")


def changed(books):
    """Milestones of 4,000.00 and 6,000.00, 10 % retained; the first then costs 1,000.00 less, the other 500.00 more."""
    order = books.contract(4000.0, 6000.0, milestone_retention_percentage=10.0)
    first, second = order.milestone_ids
    books.bill(first, "milestone 1: invoice")
    books.change(
        order,
        {"action": "change", "milestone_id": first.id, "amount": -1000.0},
        {"action": "change", "milestone_id": second.id, "amount": 500.0},
    )
    first.action_create_invoices()
    books.note("credit note of the reduction")
    books.bill(second, "milestone 2: invoice with the increase")


def foreign(books):
    """10,000.00 EUR, 20 % advance at 1.25 USD per EUR, the milestone at 2.00, paid at 1.60."""
    euro = books.env.ref("base.EUR")
    euro.active = True
    books.rate(euro, 0.8)
    order = books.contract(10000.0, currency=euro, **ADVANCE)
    books.ask_advance(order)
    books.rate(euro, 0.5)
    invoice = books.bill(order.milestone_ids, "invoice, less the recovery")
    books.rate(euro, 0.625)
    books.pay(invoice, "payment")


ADVANCE = {
    "milestone_advance_type": "percentage",
    "milestone_advance_percentage": 20.0,
    "milestone_advance_recovery": "pro_rata",
    "milestone_advance_policy": "manual",
}
CASES = {
    "A milestone": plain,
    "Divided over sets of taxes": divided,
    "Advance, recovered pro rata": pro_rata,
    "Advance, recovered first in": first_in,
    "Retention with a cap, and its release": retained,
    "Credit in part, and bill again": credited,
    "Changed by a change order": changed,
    "Foreign currency": foreign,
}


def tables(env):
    """Return the cases with their journal entries as Markdown."""
    parts = []
    for title, case in CASES.items():
        try:
            with env.cr.savepoint():
                books = Books(env)
                case(books)
                parts.append(f"### {title}\n\n{case.__doc__}\n\n{books.table()}")
                raise Rollback
        except Rollback:
            env.transaction.clear()
            # what waits for the commit would look for records that are gone
            env.cr.precommit.clear()
            env.cr.postcommit.clear()
    return "\n\n".join(parts)
