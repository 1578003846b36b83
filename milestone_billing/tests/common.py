import base64
from contextlib import contextmanager
from unittest.mock import patch

from odoo import SUPERUSER_ID
from odoo.exceptions import UserError
from odoo.fields import Command

from odoo.addons.base.models.ir_cron import IrCron
from odoo.addons.sale.tests.common import TestSaleCommon

from ..models.agreed_change import AgreedChange

ROLES = {
    "salesperson": "sales_team.group_sale_salesman",
    "sale_all": "sales_team.group_sale_salesman_all_leads",
    "sale_manager": "sales_team.group_sale_manager",
    "project_user": "project.group_project_user",
    "project_manager": "project.group_project_manager",
    "reviewer": "milestone_billing.group_internal_reviewer",
    "invoicing": "account.group_account_invoice",
    "accountant": "account.group_account_user",
    "employee": "base.group_user",
}


class MilestoneCommon(TestSaleCommon):
    """A company with accounts, a client with contacts, a user per role, and the steps of a contract."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.company
        cls.company.partner_id.tz = "UTC"  # as that of the test's users, of whom the cron's may have another
        cls.tax_10, cls.tax_20 = cls.env["account.tax"].create(
            [{"name": f"{amount} %", "amount": amount, "company_id": cls.company.id} for amount in (10, 20)]
        )
        cls.tax_15 = cls.tax_sale_a
        cls.tax_15.amount = 15.0
        cls.tax_15_included = cls.env["account.tax"].create(
            {"name": "15 % included", "amount": 15.0, "price_include_override": "tax_included"}
        )
        cls.milestone_product = cls._create_product(
            name="Fixed price work",
            type="service",
            invoice_policy="order",
            lst_price=0.0,
            taxes_id=[Command.set(cls.tax_15.ids)],
        )
        cls.company.write(
            {
                "milestone_product_id": cls.milestone_product.id,
                # a project costs time: the tests that need one ask for it
                "milestone_create_project": False,
                # and so do those that read the welcome among other mails
                "milestone_welcome": False,
                "milestone_kickoff_meeting": "manual",
            }
        )
        cls.client_company = cls.env["res.partner"].create(
            {"name": "Client", "is_company": True, "email": "office@client.example.com"}
        )
        cls.approver, cls.other_contact = cls.env["res.partner"].create(
            [
                {"name": name, "parent_id": cls.client_company.id, "email": f"{name.lower()}@client.example.com"}
                for name in ("Approver", "Bystander")
            ]
        )
        cls.stranger = cls.env["res.partner"].create({"name": "Stranger", "email": "stranger@example.com"})
        cls.users = cls._create_role_users(ROLES)

    @classmethod
    def get_default_groups(cls):
        return (
            super().get_default_groups()
            | cls.quick_ref("project.group_project_manager")
            | cls.quick_ref("milestone_billing.group_internal_reviewer")
        )

    @classmethod
    def _create_role_user(cls, role, groups):
        return cls._create_role_users({role: groups})[role]

    @classmethod
    def _create_role_users(cls, roles):
        """Create all of them at once: one after the other takes a third of what a test class takes to begin.

        :param dict roles: comma-separated groups by role
        :return: dict of users by role; the password is the login
        """
        users = cls.env["res.users"].create(
            [
                {
                    "login": f"milestone_{role}",
                    "password": f"milestone_{role}",
                    "group_ids": [
                        Command.set([cls.env.ref(name.strip()).id for name in f"base.group_user,{groups}".split(",")])
                    ],
                    "name": f"Milestone {role}",
                    "email": f"{role}@company.example.com",
                    "company_id": cls.company.id,
                    "company_ids": [Command.set(cls.company.ids)],
                }
                for role, groups in roles.items()
            ]
        )
        return dict(zip(roles, users, strict=True))

    # -- a contract and its steps --------------------------------------------------------------------

    @classmethod
    def _create_contract(cls, amounts, confirm=True, lines=(), **values):
        """Make an order with a milestone per amount.

        :param amounts: untaxed amounts, or dicts of milestone values with ``amount_untaxed``
        :param lines: values of free order lines
        :param values: values of the order; ``currency`` (a record) chooses a pricelist of that currency
        """
        currency = values.pop("currency", None)
        if currency:
            values["pricelist_id"] = (
                cls.env["product.pricelist"]
                .create({"name": currency.name, "currency_id": currency.id, "company_id": cls.company.id})
                .id
            )
        order = cls.env["sale.order"].create(
            {
                "partner_id": cls.client_company.id,
                "user_id": cls.users["salesperson"].id,
                "milestone_approver_ids": [Command.set(cls.approver.ids)],
                "order_line": [Command.create({"product_uom_qty": 1.0, **line}) for line in lines],
                "milestone_ids": [
                    Command.create(cls._prepare_milestone_values(amount, number))
                    for number, amount in enumerate(amounts, 1)
                ],
                **values,
            }
        )
        if confirm:
            order.action_confirm()
        return order

    @classmethod
    def _prepare_milestone_values(cls, amount, number):
        values = amount if isinstance(amount, dict) else {"amount_untaxed": amount}
        return {
            "name": f"Milestone {number}",
            "sequence": number,
            "deliverable_ids": [Command.create({"name": f"Deliverable {number}"})],
            **values,
        }

    @classmethod
    def _create_gated_order(cls, groups, free=(), confirm=True, **values):
        """Make an order whose existing lines are put under milestones.

        :param groups: per milestone a list of order line values
        """
        order = cls._create_contract([{} for _group in groups], confirm=False, lines=free, **values)
        for milestone, group in zip(order.milestone_ids.sorted("sequence"), groups, strict=True):
            cls.env["sale.order.line"].create(
                [
                    {"product_uom_qty": 1.0, **line, "order_id": order.id, "billing_milestone_id": milestone.id}
                    for line in group
                ]
            )
        if confirm:
            order.action_confirm()
        return order

    @classmethod
    def _show_work(cls, milestones):
        for deliverable in milestones.deliverable_ids.filtered(lambda deliverable: not deliverable.has_evidence):
            deliverable.url = "https://example.com/work"

    @classmethod
    def _submit(cls, milestones, user=None):
        """Start what is not started, show some work, and submit."""
        milestones.filtered(lambda milestone: milestone.state == "draft").action_start()
        cls._show_work(milestones)
        milestones.with_user(user or cls.env.user).action_submit()

    @classmethod
    def _evidence(cls, milestone, **values):
        """Return the evidence that the portal collects for an approval."""
        return {
            "partner": cls.approver,
            "method": "link",
            "snapshot_hash": milestone.sudo().approval_id.snapshot_hash,
            "signed_by": cls.approver.name,
            "signature": PIXEL,
            "consent": f"I approve round {milestone.approval_round}.",
            "ip_address": "192.0.2.7",
            "user_agent": "Test browser",
            **values,
        }

    @classmethod
    def _approve(cls, milestones):
        """Let the client approve, with whatever steps are still missing before that."""
        cls._submit(milestones.filtered(lambda milestone: milestone.state in ("draft", "in_progress")))
        for milestone in milestones:
            milestone.sudo()._approve(cls._evidence(milestone))

    @classmethod
    def _change_agreed(cls, milestone, values):
        """Write what an approved change request may write of a contract."""
        AgreedChange.mark(milestone).write(values)

    @classmethod
    @contextmanager
    def _cron_mode(cls):
        """Run what a cron would run: as superuser, without the commits between batches."""
        with patch.object(IrCron, "_commit_progress", lambda self, *args, **kwargs: float("inf")):
            yield cls.env(user=SUPERUSER_ID, su=True, context={})

    @classmethod
    def _run_queue(cls):
        with cls._cron_mode() as env:
            env["sale.milestone"]._cron_process_invoice_queue()
        cls.env.invalidate_all()

    @classmethod
    def _bill(cls, milestones):
        """Approve milestones and run the queue; return their invoices in the order of the milestones."""
        cls._approve(milestones)
        cls._run_queue()
        return milestones.invoice_line_ids.move_id.sorted("id")

    @classmethod
    def _invoices(cls, milestones):
        return milestones.invoice_line_ids.move_id.filtered(lambda move: move.move_type == "out_invoice")

    @classmethod
    def _credit(cls, invoice, modify=False, edit=None, post=True):
        """Credit an invoice with the reversal wizard; ``edit`` changes the draft credit note."""
        wizard = (
            cls.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id, "reason": "Test"})
        )
        result = wizard.reverse_moves(is_modify=modify)
        if modify:
            return cls.env["account.move"].browse(result["res_id"])
        refund = wizard.new_move_ids
        if edit:
            edit(refund)
        if post and refund.state == "draft":
            refund.action_post()
        return refund

    @classmethod
    def _pay(cls, invoices, amount=None, **values):
        wizard = (
            cls.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoices.ids)
            .create(values)
        )
        if amount is not None:
            wizard.amount = amount
        return wizard._create_payments()

    @classmethod
    def _pay_online(cls, invoices, amount):
        """Let a payment provider say that it was paid; return the payment."""
        return cls._collect(cls._start_online_payment(invoices, amount))

    @classmethod
    def _start_online_payment(cls, invoices, amount):
        return cls.env["payment.transaction"].create(
            {
                "provider_id": cls._get_online_payment_method().payment_provider_id.id,
                "payment_method_id": cls.env.ref("payment.payment_method_unknown").id,
                "reference": f"online {cls.env['payment.transaction'].search_count([])}",
                "operation": "online_direct",
                "amount": amount,
                "currency_id": invoices.currency_id.id,
                "partner_id": invoices.partner_id.id,
                "invoice_ids": invoices.ids,
            }
        )

    @classmethod
    def _collect(cls, transaction):
        return transaction._create_payment(payment_method_line_id=cls._get_online_payment_method().id)

    @classmethod
    def _get_online_payment_method(cls):
        """Return how a provider of tests pays to the bank, made when it is needed first."""
        journal = cls.company_data["default_journal_bank"]
        lines = cls.env["account.payment.method.line"]
        if known := lines.search([("name", "=", "Online"), ("journal_id", "=", journal.id)]):
            return known
        provider = cls.env["payment.provider"].create({"name": "Online", "code": "none", "company_id": cls.company.id})
        line = lines.create(
            {
                "name": "Online",
                "payment_method_id": cls.env.ref("account.account_payment_method_manual_in").id,
                "journal_id": journal.id,
                "payment_provider_id": provider.id,
                "payment_account_id": cls.company_data["default_account_assets"].id,
            }
        )
        provider.journal_id = journal
        return line

    @classmethod
    def _create_attachment(cls, name="proof.txt", content=b"proof", **values):
        return cls.env["ir.attachment"].create({"name": name, "datas": base64.b64encode(content), **values})

    @classmethod
    def _tamper(cls, query, params=()):
        """Change the database behind the back of Odoo."""
        cls.env.flush_all()
        cls.env.cr.execute(query, params)
        cls.env.invalidate_all()

    @classmethod
    def _set_up_currencies_and_taxes(cls):
        """Make currencies of 0, 2 and 3 decimals, and taxes that are included in the price, or fixed."""
        cls.eur = cls.setup_other_currency("EUR", rates=[("1900-01-01", 0.9137)])
        cls.jpy = cls.setup_other_currency("JPY", rates=[("1900-01-01", 149.73)])
        cls.kwd = cls.setup_other_currency("KWD", rates=[("1900-01-01", 0.30671)])
        cls.tax_20_included = cls.env["account.tax"].create(
            {"name": "20 % included", "amount": 20.0, "price_include_override": "tax_included"}
        )
        cls.tax_fixed = cls.env["account.tax"].create({"name": "0.37 each", "amount_type": "fixed", "amount": 0.37})

    # -- what holds at every moment --------------------------------------------------------------------

    def _tax_amounts(self, moves):
        """Return the tax amount per tax of invoices less credit notes, in the currency of the documents."""
        amounts = {}
        for line in moves.line_ids.filtered("tax_line_id"):
            amounts[line.tax_line_id] = amounts.get(line.tax_line_id, 0.0) - line.amount_currency
        return amounts

    def _order_tax_amounts(self, order):
        """Return the tax amount per tax of an order, as Odoo's tax engine shows it to the client."""
        amounts = {}
        engine = self.env["account.tax"]
        base_lines = [line._prepare_base_line_for_taxes_computation() for line in order._get_priced_lines()]
        engine._add_tax_details_in_base_lines(base_lines, order.company_id)
        engine._round_base_lines_tax_details(base_lines, order.company_id)
        for base_line in base_lines:
            for data in base_line["tax_details"]["taxes_data"]:
                amounts[data["tax"]] = amounts.get(data["tax"], 0.0) + data["tax_amount_currency"]
        return amounts

    @contextmanager
    def assertRefused(self, pattern, exception=UserError):
        """Expect an error that says ``pattern``, and roll back what came before it, as a request would."""
        with self.assertRaises(exception) as caught:
            yield
        self.assertRegex(str(caught.exception), pattern)

    def assertMoney(self, currency, first, second, message=None):
        """The same to the smallest unit of the currency."""
        self.assertEqual(
            round(first / currency.rounding), round(second / currency.rounding), message or f"{first} != {second}"
        )

    def assertBilledAsAgreed(self, order):
        """All milestones and free lines are billed: the invoices are the order, in every amount."""
        moves = order.invoice_ids.filtered(lambda move: move.state == "posted")
        signs = {move: -1 if move.move_type == "out_refund" else 1 for move in moves}
        currency = order.currency_id
        for name in ("amount_untaxed", "amount_tax", "amount_total"):
            billed = sum(sign * move[name] for move, sign in signs.items())
            self.assertMoney(currency, billed, order[name], f"{name}: billed {billed}, agreed {order[name]}")
        billed, agreed = self._tax_amounts(moves), self._order_tax_amounts(order)
        for tax in billed.keys() | agreed.keys():
            self.assertMoney(currency, billed.get(tax, 0.0), agreed.get(tax, 0.0), f"{tax.name}: {billed} / {agreed}")
        self.assertEqual(order.invoice_status, "invoiced")
        self.assertMoney(currency, order.amount_to_invoice, 0.0)
        for line in order.order_line.filtered(lambda line: not line.display_type):
            self.assertMoney(currency, line.untaxed_amount_to_invoice, 0.0)
            self.assertEqual(line.qty_to_invoice, 0.0)

    def assertNeverBeyondPlan(self, milestones):
        for milestone in milestones:
            net = -sum(
                line.amount_currency
                for line in milestone.invoice_line_ids
                if line.display_type == "product"
                and (line.parent_state == "posted" or (line.parent_state == "draft" and line.move_type != "out_refund"))
            )
            currency = milestone.currency_id
            self.assertLessEqual(currency.compare_amounts(net, milestone.amount_untaxed), 0)
            self.assertGreaterEqual(currency.compare_amounts(net, 0.0), 0)


# a drawn signature as small as can be
PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
