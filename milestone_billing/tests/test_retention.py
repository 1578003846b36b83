from datetime import date, timedelta

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged

from .retention_common import RetentionCommon


@tagged("post_install", "-at_install")
class TestRetention(RetentionCommon):
    """What invoices keep back, and what becomes of it in the ledger."""

    def test_the_receivable_is_split_and_nothing_else_changes(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        tax_account = invoice.line_ids.filtered("tax_line_id").account_id
        income = invoice.invoice_line_ids.filtered(lambda line: line.display_type == "product").account_id
        self.assertEqual(
            self._entries(invoice),
            {
                self.trade_account: (10500.0, 0.0),
                self.retention_account: (1000.0, 0.0),
                income: (0.0, 10000.0),
                tax_account: (0.0, 1500.0),
            },
        )
        self.assertEqual(invoice.amount_total, 11500.0)
        self.assertEqual(invoice.amount_residual, 11500.0)
        self.assertEqual(invoice.retention_amount, 1000.0)
        self.assertEqual(invoice.invoice_date_due, invoice.invoice_date)
        self.assertIn("1,000.00", invoice.retention_statement)
        self.assertIn("10,500.00", invoice.retention_statement)
        self.assertEqual(order.retention_retained, 1000.0)
        self.assertEqual(order.retention_withheld, 1000.0)
        self.assertEqual(order.milestone_ids.retention_amount, 1000.0)
        self.assertListIsLedger(order)

    def test_of_the_total(self):
        order = self._create_retained([10000.0], base="total")
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(invoice.retention_amount, 1150.0)

    def test_cumulative_amounts_do_not_drift(self):
        """Three times 3.333 of 33.33 each: 10 % of 99.99 in all, not three times a rounded amount."""
        order = self._create_retained([33.33] * 3)
        invoices = self._bill(order.milestone_ids)
        self.assertEqual(invoices.mapped("retention_amount"), [3.33, 3.34, 3.33])
        self.assertEqual(order.retention_retained, 10.0)

    def test_cap(self):
        order = self._create_retained([1000.0] * 5, cap=3.5)
        invoices = self._bill(order.milestone_ids)
        self.assertEqual(invoices.mapped("retention_amount"), [100.0, 75.0, 0.0, 0.0, 0.0])
        self.assertFalse(invoices[2].line_ids.retention_order_id)
        self.assertListIsLedger(order)

    def test_stage_down(self):
        order = self._create_retained([1000.0] * 4, reduced_percentage=5.0, reduced_after=37.5)
        invoices = self._bill(order.milestone_ids)
        self.assertEqual(invoices.mapped("retention_amount"), [100.0, 75.0, 50.0, 50.0])

    def test_free_lines_retain_nothing(self):
        free = self._create_contract(
            [1000.0],
            lines=[{"product_id": self.milestone_product.id, "price_unit": 500.0}],
            milestone_retention_percentage=10.0,
        )
        self._approve(free.milestone_ids)
        invoice = free._create_invoices()
        self.assertEqual(invoice.amount_untaxed, 1500.0)
        self.assertEqual(invoice.retention_amount, 100.0)

    def test_a_draft_follows_its_edits(self):
        order = self._create_retained([1000.0, 500.0], milestone_invoice_policy="draft")
        self.company.milestone_invoice_grouping = "order"
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(invoice.retention_amount, 150.0)
        with Form(invoice) as form, form.invoice_line_ids.edit(1) as line:
            line.price_unit = 800.0
        self.assertEqual(invoice.retention_amount, 130.0)
        self.assertEqual(sum(invoice.line_ids.mapped("balance")), 0.0)
        with Form(invoice) as form:
            form.invoice_date = date(2026, 1, 5)
            form.invoice_payment_term_id = self.env.ref("account.account_payment_term_30days")
        self.assertEqual(invoice.retention_amount, 130.0)
        self.assertEqual(invoice.invoice_date_due, date(2026, 2, 4))
        self.assertEqual(len(invoice.line_ids.filtered(lambda line: line.display_type == "payment_term")), 2)

    def test_a_draft_keeps_its_accounts_whoever_edits_it(self):
        """Odoo computes the accounts of all terms anew with another customer, or another fiscal position."""
        other = self.env["res.partner"].create({"name": "Bank of the Client", "is_company": True})
        position = self.env["account.fiscal.position"].create({"name": "Elsewhere"})

        def change_customer(invoice):
            with Form(invoice) as form:
                form.partner_id = other

        def change_fiscal_position(invoice):
            with Form(invoice) as form:
                form.fiscal_position_id = position
            invoice.action_update_fpos_values()

        for edit in (change_customer, change_fiscal_position):
            with self.subTest(edit=edit.__name__):
                order = self._create_retained([1000.0], milestone_invoice_policy="draft")
                invoice = self._bill(order.milestone_ids)
                edit(invoice)
                due = invoice.amount_total - 100.0
                for state in ("draft", "posted"):
                    self.assertEqual(invoice.state, state)
                    self.assertEqual(self._entries(invoice)[self.trade_account], (due, 0.0))
                    self.assertEqual(self._entries(invoice)[self.retention_account], (100.0, 0.0))
                    if state == "draft":
                        invoice.action_post()
                self.assertListIsLedger(order)

    def test_terms_on_accounts_of_another_kind_are_posted_on_theirs(self):
        order = self._create_retained([1000.0], milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        terms = invoice.line_ids.filtered(lambda line: line.display_type == "payment_term")
        for term in terms:
            term.account_id = self.trade_account if term.retention_order_id else self.retention_account
        invoice.action_post()
        self.assertEqual(self._entries(invoice)[self.retention_account], (100.0, 0.0))
        self.assertListIsLedger(order)

    def test_the_formula_decides_when_drafts_are_posted_out_of_order(self):
        order = self._create_retained([1000.0] * 3, cap=5.0, milestone_invoice_policy="draft")
        first, second, third = self._bill(order.milestone_ids)
        self.assertEqual((first + second + third).mapped("retention_amount"), [100.0, 50.0, 0.0])
        third.action_post()
        self.assertEqual(third.retention_amount, 100.0)
        first.unlink()
        second.action_post()
        self.assertEqual(second.retention_amount, 50.0)
        self.assertListIsLedger(order)

    def test_posting_together_comes_one_after_the_other(self):
        order = self._create_retained([1000.0] * 3, cap=5.0, milestone_invoice_policy="draft")
        invoices = self._bill(order.milestone_ids)
        invoices.action_post()
        self.assertEqual(invoices.mapped("retention_amount"), [100.0, 50.0, 0.0])

    def test_reset_to_draft_and_posted_again(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        invoice.button_draft()
        self.assertEqual(order.retention_retained, 0.0)
        invoice.action_post()
        self.assertEqual(order.retention_retained, 100.0)
        self.assertEqual(len(invoice.line_ids.filtered("retention_order_id")), 1)

    def test_never_more_than_the_invoice(self):
        """A discount line of the invoice leaves less than the retention."""
        order = self._create_retained([1000.0], percentage=50.0, milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        invoice.invoice_line_ids = [
            Command.create({"name": "Rebate", "price_unit": -900.0, "tax_ids": [Command.set(self.tax_15.ids)]})
        ]
        self.assertEqual(invoice.amount_total, 115.0)
        self.assertEqual(invoice.retention_amount, 115.0)
        invoice.action_post()
        self.assertEqual(invoice.retention_amount, 115.0)
        self.assertEqual(sum(invoice.line_ids.mapped("balance")), 0.0)

    def test_installments_pay_the_retention_from_the_last(self):
        term = self.env["account.payment.term"].create(
            {
                "name": "30 / 70",
                "line_ids": [
                    Command.create({"value": "percent", "value_amount": 30.0, "nb_days": 0}),
                    Command.create({"value": "percent", "value_amount": 70.0, "nb_days": 30}),
                ],
            }
        )
        order = self._create_retained([1000.0], payment_term_id=term.id)
        invoice = self._bill(order.milestone_ids)
        terms = invoice.line_ids.filtered(lambda line: line.display_type == "payment_term").sorted("date_maturity")
        self.assertEqual(terms.mapped("balance"), [345.0, 705.0, 100.0])
        self.assertEqual(invoice.invoice_date_due, invoice.invoice_date + timedelta(days=30))
        self.assertEqual([detail["amount"] for detail in invoice.payment_term_details], [345.0, 705.0])

    def test_no_discount_for_paying_a_part_early(self):
        term = self.env["account.payment.term"].create(
            {
                "name": "2/10",
                "early_discount": True,
                "discount_percentage": 2.0,
                "discount_days": 10,
                "line_ids": [Command.create({"value": "percent", "value_amount": 100.0, "nb_days": 30})],
            }
        )
        order = self._create_retained([1000.0], payment_term_id=term.id)
        invoice = self._bill(order.milestone_ids)
        self.assertFalse(invoice.show_discount_details)
        self._pay(invoice)
        self.assertEqual(invoice.amount_residual, 100.0)

    def test_cash_rounding(self):
        rounding = self.env["account.cash.rounding"].create(
            {
                "name": "5 cents",
                "rounding": 0.05,
                "strategy": "add_invoice_line",
                "profit_account_id": self.company_data["default_account_revenue"].id,
                "loss_account_id": self.company_data["default_account_expense"].id,
            }
        )
        order = self._create_retained([33.33], milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        invoice.invoice_cash_rounding_id = rounding
        self.assertEqual(invoice.amount_total, 38.35)
        self.assertEqual(invoice.retention_amount, 3.33)
        invoice.action_post()
        terms = invoice.line_ids.filtered(lambda line: line.display_type == "payment_term")
        self.assertEqual(sum(terms.mapped("balance")), 38.35)

    # -- payments ------------------------------------------------------------------------------------

    def test_payments_in_parts(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice, 500.0)
        self.assertEqual((invoice.payment_state, invoice.amount_residual), ("partial", 11000.0))
        self._pay(invoice)
        self.assertEqual((invoice.payment_state, invoice.amount_residual), ("partial", 1000.0))
        self.assertEqual(order.retention_paid, 0.0)
        self._pay(invoice, 250.0)
        self.assertEqual((order.retention_paid, order.retention_withheld), (250.0, 750.0))
        self.assertListIsLedger(order)
        self._pay(invoice)
        self.assertEqual(invoice.payment_state, "paid")
        self.assertListIsLedger(order)

    def test_payment_wizard_proposes_the_trade_part(self):
        order = self._create_retained([10000.0])
        invoice = self._bill(order.milestone_ids)
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({})
        )
        self.assertEqual(wizard.amount, 10500.0)
        self.assertTrue(wizard.can_edit_wizard)
        self.assertEqual(wizard.line_ids.account_id, self.trade_account)

    # -- credit notes --------------------------------------------------------------------------------

    def test_a_credit_note_gives_back_on_the_account_of_its_invoice(self):
        """Though the company keeps new retentions on another one by now."""
        order = self._create_retained([1000.0, 2000.0, 500.0])
        in_part, in_full = (self._bill(milestone) for milestone in order.milestone_ids[:2])
        other_account = self.retention_account.copy({"code": "RETNEW", "name": "Retention from now on"})
        self.company.milestone_retention_account_id = other_account
        credit = self._credit(in_part, edit=self._edit_lines(0.3))
        reversal = self._credit(in_full)
        last = self._bill(order.milestone_ids[2])
        self.assertEqual(self._entries(credit)[self.retention_account], (0.0, 30.0))
        self.assertEqual(self._entries(last)[other_account], (50.0, 0.0))
        self.assertEqual((in_full.payment_state, in_full.amount_residual, reversal.amount_residual), ("reversed", 0, 0))
        draft = in_part._reverse_moves([{"invoice_date": self.today}])
        draft.partner_id = self.stranger
        self.assertEqual(draft.line_ids.filtered("retention_order_id").account_id, self.retention_account)
        draft.unlink()
        self._pay(in_part)
        self._pay(last)
        self._release(order)
        for invoice in (in_part, last):
            self._pay(invoice)
        self.assertEqual({in_part.payment_state, credit.payment_state, last.payment_state}, {"paid"})
        for account in (self.retention_account, other_account):
            items = self.env["account.move.line"].search([("account_id", "=", account.id)])
            posted = items.filtered(lambda item: item.parent_state == "posted")
            self.assertMoney(self.company.currency_id, sum(posted.mapped("balance")), 0.0)
        self.assertListIsLedger(order)

    def test_credit_in_full_gives_everything_back(self):
        order = self._create_retained([33.33] * 3)
        invoices = self._bill(order.milestone_ids)
        refund = self._credit(invoices[1])
        self.assertEqual(refund.retention_amount, 3.34)
        self.assertEqual(order.retention_retained, 6.66)
        self.assertEqual(invoices[1].payment_state, "reversed")
        self.assertEqual(self._entries(refund)[self.retention_account], (0.0, 3.34))
        self.assertListIsLedger(order)

    def test_credits_in_parts_give_back_cumulatively(self):
        order = self._create_retained([100.01])
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(invoice.retention_amount, 10.0)
        refunds = [self._credit(invoice, edit=self._edit_lines(1 / 3)) for _number in range(2)]
        self.assertEqual([refund.retention_amount for refund in refunds], [3.33, 3.34])
        self.assertListIsLedger(order)
        rest = invoice.amount_untaxed - sum(refund.amount_untaxed for refund in refunds)
        last = self._credit(invoice, edit=self._edit_lines(rest / invoice.amount_untaxed))
        self.assertEqual(last.retention_amount, 3.33)
        self.assertEqual(order.retention_retained, 0.0)
        self.assertListIsLedger(order)

    def test_credited_and_billed_again(self):
        order = self._create_retained([1000.0, 500.0])
        first, _second = self._bill(order.milestone_ids)
        again = self._credit(first, modify=True)
        self.assertEqual(again.retention_amount, 100.0)
        again.action_post()
        self.assertEqual(order.retention_retained, 150.0)
        self.assertListIsLedger(order)

    def test_credit_note_of_a_cancelled_credit(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        refund = self._credit(invoice)
        refund.button_draft()
        self.assertEqual(order.retention_retained, 100.0)
        self.assertListIsLedger(order)

    # -- currencies ----------------------------------------------------------------------------------

    def test_foreign_currency_and_exchange_difference(self):
        currency = self._create_currency("XRT", 0.01, {"2026-01-01": 2.0, "2026-03-01": 4.0})
        order = self._create_retained([1000.0], currency=currency, milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        invoice.invoice_date = date(2026, 1, 10)
        invoice.action_post()
        self.assertEqual(invoice.retention_amount, 100.0)
        item = self._items(order)
        self.assertEqual((item.amount_currency, item.balance), (100.0, 50.0))
        self.assertListIsLedger(order)
        self._release(order)
        self._pay(invoice)
        self._pay(invoice)
        self.assertEqual(invoice.payment_state, "paid")
        self.assertListIsLedger(order)
        lines = self.env["account.move.line"].search([("account_id", "=", self.retention_account.id)])
        self.assertEqual(sum(lines.mapped("balance")), 0.0)
        self.assertEqual(len(lines.matched_debit_ids.exchange_move_id | lines.matched_credit_ids.exchange_move_id), 1)

    def test_a_rate_that_somebody_typed_stays(self):
        currency = self._create_currency("XRT", 0.01, {"2020-01-01": 2.0})
        order = self._create_retained([1000.0], currency=currency, milestone_invoice_policy="draft")
        invoice = self._bill(order.milestone_ids)
        self.assertFalse(invoice.invoice_date)
        with Form(invoice) as form:
            form.invoice_currency_rate = 2.5
        invoice.action_post()
        self.assertEqual((invoice.invoice_currency_rate, invoice.invoice_date), (2.5, self.today))
        self.assertEqual(self._entries(invoice)[self.retention_account], (40.0, 0.0))
        self.assertListIsLedger(order)

    def test_currencies_without_and_with_three_decimals(self):
        for name, rounding, expected in (("XR0", 1.0, 1000.0), ("XR3", 0.001, 1000.0)):
            currency = self._create_currency(name, rounding, {"2026-01-01": 3.7})
            order = self._create_retained([3333.333, 3333.333, 3333.334], currency=currency)
            with self.subTest(name):
                invoices = self._bill(order.milestone_ids)
                for amount in invoices.mapped("retention_amount"):
                    self.assertMoney(currency, amount, currency.round(amount))
                billed = sum(invoices.mapped("amount_untaxed"))
                self.assertMoney(currency, order.retention_retained, currency.round(billed / 10))
                self.assertAlmostEqual(order.retention_retained, expected, delta=rounding)
                self.assertListIsLedger(order)

    def test_what_is_worth_nothing_in_the_own_currency_is_not_retained(self):
        """No payment could settle such an item: the next invoice retains it."""
        currency = self._create_currency("XRW", 0.01, {"2026-01-01": 8.0})
        order = self._create_retained([0.30, 8.00], currency=currency)
        first = self._bill(order.milestone_ids[0])
        self.assertEqual(first.retention_amount, 0.0)
        self._pay(first)
        self.assertEqual(first.payment_state, "paid")
        second = self._bill(order.milestone_ids[1])
        self.assertMoney(currency, second.retention_amount, 0.83)
        self.assertListIsLedger(order)

    # -- terms of the contract -----------------------------------------------------------------------

    def test_terms_start_as_the_company_has_them(self):
        self.company.write({"milestone_retention_percentage": 7.5, "milestone_retention_cap": 5.0})
        order = self._create_contract([100.0], confirm=False)
        self.assertEqual((order.milestone_retention_percentage, order.milestone_retention_cap), (7.5, 5.0))
        self.assertEqual(order.milestone_retention_base, "untaxed")

    def test_terms_are_frozen_with_the_contract(self):
        order = self._create_retained([100.0])
        for values in (
            {"milestone_retention_percentage": 5.0},
            {"milestone_retention_cap": 5.0},
            {"milestone_retention_trigger": "date", "milestone_retention_date": self.today},
        ):
            with self.assertRefused("is agreed with the client"):
                order.write(values)
        order.write({"milestone_retention_percentage": 10.0})
        self.company.milestone_retention_percentage = 1.0
        self.assertEqual(order.milestone_retention_percentage, 10.0)

    def test_terms_are_part_of_the_agreed_contract(self):
        order = self._create_retained([100.0], cap=5.0)
        self.assertIn('"retention":{', order.sudo().milestone_contract)
        self.assertIn('"percentage":"10.0000"', order.sudo().milestone_contract)
        without = self._create_contract([100.0])
        self.assertNotIn("retention", without.sudo().milestone_contract)

    def test_the_client_reads_the_terms(self):
        order = self._create_retained(
            [100.0], cap=5.0, reduced_percentage=2.5, reduced_after=50.0, trigger="milestone", days=90
        )
        html = self.env["ir.actions.report"]._render_qweb_html("sale.report_saleorder", order.ids)[0].decode()
        for words in (
            "Retention: 10 % of each milestone invoice",
            "Once 50 % of the contract is billed: 2.5 %",
            "At most 5 % of the contract",
            "Released 90 days after the approval of the last milestone",
        ):
            self.assertIn(words, html)
        invoice = self._bill(order.milestone_ids)
        html = self.env["ir.actions.report"]._render_qweb_html("account.report_invoice", invoice.ids)[0].decode()
        self.assertIn(invoice.retention_statement.replace("\xa0", " "), " ".join(html.replace("\xa0", " ").split()))
        self.assertFalse(self._create_contract([100.0])._get_retention_sentences())

    def test_percentages_of_the_terms_are_written_as_in_the_language_of_the_reader(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        order = self._create_retained([100.0], percentage=2.5, cap=1.25, reduced_percentage=0.3333, reduced_after=50.0)
        for lang, texts in (("en_US", ("2.5 %", "1.25 %", "0.3333 %")), ("fr_FR", ("2,5 %", "1,25 %", "0,3333 %"))):
            sentences = " ".join(order.with_context(lang=lang)._get_retention_sentences())
            for text in (*texts, "50 %"):
                self.assertIn(text, sentences)

    def test_senseless_terms_are_refused(self):
        order = (
            self._create_retained([100.0], confirm=False) if False else self._create_contract([100.0], confirm=False)
        )
        with self.assertRefused("higher than its retention", ValidationError):
            order.write(
                {
                    "milestone_retention_percentage": 5.0,
                    "milestone_retention_reduced_percentage": 6.0,
                    "milestone_retention_reduced_after": 50.0,
                }
            )
        other = self._create_contract([100.0], confirm=False)
        with self.assertRefused("belongs to another order", ValidationError):
            order.milestone_retention_milestone_id = other.milestone_ids
        order.write({"milestone_retention_percentage": 5.0, "milestone_retention_trigger": "date"})
        with self.assertRefused("say on which one"):
            order.action_confirm()

    def test_a_copy_waits_for_its_own_milestone(self):
        order = self._create_contract([100.0, 200.0], confirm=False)
        order.milestone_retention_milestone_id = order.milestone_ids[1]
        copy = order.copy()
        self.assertEqual(copy.milestone_retention_milestone_id, copy.milestone_ids.sorted("sequence")[1])

    def test_the_form_of_a_cancelled_order_shows_what_is_retained(self):
        order = self._create_retained([1000.0, 1000.0])
        self._bill(order.milestone_ids[0])
        nothing = self._create_retained([1000.0])
        (order + nothing)._action_cancel()
        for record, shown in ((order, True), (nothing, False)):
            form = Form(record)
            for name in ("retention_released", "retention_paid"):
                self.assertEqual(not form._get_modifier(name, "invisible"), shown, name)

    def test_without_an_account_the_milestone_stays_in_the_queue(self):
        self.company.milestone_retention_account_id = False
        order = self._create_retained([100.0])
        self._bill(order.milestone_ids)
        self.assertEqual(order.milestone_ids.billing_state, "to_invoice")
        self.assertIn("no retention account", order.milestone_ids.invoice_error)
        self.company._create_retention_account()
        order.milestone_ids._process_invoice_queue(raise_errors=True)
        self.assertEqual(order.milestone_ids.billing_state, "invoiced")

    def test_creating_the_account_again_finds_the_first(self):
        self.assertTrue(self.retention_account.non_trade)
        self.assertTrue(self.retention_account.reconcile)
        self.assertEqual(self.company._create_retention_account(), self.retention_account)

    def test_contracts_of_one_customer_on_one_invoice(self):
        self.company.milestone_invoice_grouping = "customer"
        orders = self._create_retained([1000.0]) + self._create_retained([500.0], percentage=20.0)
        invoice = self._bill(orders.milestone_ids)
        self.assertEqual(len(invoice), 1)
        self.assertEqual(invoice.retention_amount, 200.0)
        self.assertEqual(orders.mapped("retention_retained"), [100.0, 100.0])
        self.assertListIsLedger(*orders)
        refund = self._credit(invoice)
        self.assertEqual(refund.retention_amount, 200.0)
        self.assertEqual(orders.mapped("retention_retained"), [0.0, 0.0])

    # -- what nobody may do --------------------------------------------------------------------------

    def test_items_cannot_be_tampered_with(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        item = self._items(order)
        with self.assertRefused("becomes due by its release"):
            item.date_maturity = self.today
        with self.assertRefused("stays with its contract"):
            item.retention_order_id = False
        with self.assertRefused("not on the journal item"):
            item.retention_released = 5.0
        with self.assertRefused("Only the terms"):
            self.env["account.move"].create(
                {
                    "move_type": "entry",
                    "line_ids": [
                        Command.create(
                            {"account_id": self.retention_account.id, "debit": 5.0, "retention_order_id": order.id}
                        ),
                        Command.create({"account_id": self.trade_account.id, "credit": 5.0}),
                    ],
                }
            )

    def test_a_copied_invoice_retains_nothing(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        copy = invoice.copy()
        self.assertEqual(copy.retention_amount, 0.0)
        self.assertEqual(
            copy.line_ids.filtered(lambda line: line.display_type == "payment_term").account_id, self.trade_account
        )

    def test_other_entries_on_the_account_show_in_the_check(self):
        order = self._create_retained([1000.0])
        self._bill(order.milestone_ids)
        self.env["account.move"].create(
            {
                "move_type": "entry",
                "line_ids": [
                    Command.create({"account_id": self.retention_account.id, "debit": 5.0, "name": "x"}),
                    Command.create({"account_id": self.trade_account.id, "credit": 5.0, "name": "x"}),
                ],
            }
        ).action_post()
        self.env.flush_all()
        check = self.env["sale.retention.check"].search([("account_id", "=", self.retention_account.id)])
        self.assertEqual((check.listed, check.ledger, check.difference), (100.0, 105.0, 5.0))
        other = self.env["account.move.line"].search(check.action_open_difference()["domain"])
        self.assertEqual(other.debit, 5.0)

    def test_a_payment_whose_invoice_is_a_draft_again_shows_in_the_check(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        self._pay(invoice)
        retained = self._pay(invoice)
        self.assertEqual(invoice.amount_residual, 0.0)
        invoice.button_draft()
        self.env.flush_all()
        check = self.env["sale.retention.check"].search([("account_id", "=", self.retention_account.id)])
        self.assertEqual((check.listed, check.ledger, check.difference), (0.0, -100.0, -100.0))
        other = self.env["account.move.line"].search(check.action_open_difference()["domain"])
        self.assertEqual(other.credit, 100.0)
        self.assertEqual(other.payment_id, retained)

    def test_a_credit_note_of_no_invoice_gives_back_what_is_too_much(self):
        order = self._create_retained([1000.0])
        credit_note = self._credit(self._bill(order.milestone_ids), post=False)
        credit_note.reversed_entry_id = False
        credit_note.invoice_line_ids.filtered("product_id").price_unit = 400.0
        self.assertEqual(credit_note.retention_amount, 40.0)
        credit_note.action_post()
        self.assertEqual(order.retention_retained, 60.0)

    def test_the_reversal_of_a_credit_note_retains_like_any_invoice(self):
        order = self._create_retained([1000.0])
        credit_note = self._credit(self._bill(order.milestone_ids))
        order.milestone_ids.action_rebill()
        self.env.flush_all()
        invoice = self._credit(credit_note)
        self.assertEqual((invoice.move_type, invoice.state, invoice.retention_amount), ("out_invoice", "posted", 100.0))
        self.assertEqual((order.retention_retained, order.retention_withheld), (100.0, 100.0))
        self.assertIn("Retained $\xa0100.00", invoice.retention_statement)
        self.assertListIsLedger(order)
        self._pay(invoice)
        self._release(order)
        self.assertEqual((order.retention_released, order.retention_withheld), (100.0, 0.0))
        self._pay(invoice)
        self.assertEqual((order.retention_paid, invoice.amount_residual), (100.0, 0.0))
        self.assertListIsLedger(order)

    def test_a_retention_that_is_paid_in_another_currency_agrees_with_the_ledger(self):
        currency = self._create_currency("XLF", 0.01, {"2020-01-01": 2.0})
        order = self._create_retained([1000.0, 500.0], currency=currency)
        first, second = self._bill(order.milestone_ids)
        for invoice in (first, second):
            self._pay(invoice, currency_id=self.company.currency_id.id)
        self.assertListIsLedger(order)
        self._release(order)
        self.env["res.currency.rate"].create(
            {"currency_id": currency.id, "company_id": self.company.id, "name": self.today, "rate": 1.6}
        )
        self.env.flush_all()
        self._pay(first, currency_id=self.company.currency_id.id)
        self._pay(second, 10.0, currency_id=self.company.currency_id.id)
        self.assertEqual((first.amount_residual, order.retention_paid), (0.0, 116.0))
        self.assertListIsLedger(order)
        checks = self.env["sale.retention.check"].search([("account_id", "=", self.retention_account.id)])
        balance = sum(
            self.env["account.move.line"].search([("account_id", "=", self.retention_account.id)]).mapped("balance")
        )
        self.assertEqual(checks.mapped("currency_id"), self.company.currency_id | currency)
        self.assertEqual((sum(checks.mapped("ledger_company")), sum(checks.mapped("listed"))), (balance, 34.0))

    def test_a_credit_of_the_trade_account_pays_a_retention_once_it_is_moved(self):
        order = self._create_retained([1000.0])
        invoice = self._bill(order.milestone_ids)
        payment = self._pay(invoice, 1150.0)
        [offer] = invoice.invoice_outstanding_credits_debits_widget["content"]
        self.assertEqual(offer["amount"], 100.0)
        with self.assertRefused("by a journal entry"):
            invoice.js_assign_outstanding_line(offer["id"])
        values = {"partner_id": self.client_company.id}
        entry = self.env["account.move"].create(
            {
                "line_ids": [
                    Command.create({**values, "account_id": self.trade_account.id, "debit": 100.0}),
                    Command.create({**values, "account_id": self.retention_account.id, "credit": 100.0}),
                ]
            }
        )
        entry.action_post()
        (payment.move_id.line_ids + entry.line_ids).filtered(
            lambda line: line.account_id == self.trade_account and not line.reconciled
        ).reconcile()
        [offer] = invoice.invoice_outstanding_credits_debits_widget["content"]
        invoice.js_assign_outstanding_line(offer["id"])
        self.assertEqual((invoice.amount_residual, order.retention_paid), (0.0, 100.0))
        self.assertListIsLedger(order)

    def test_a_release_does_not_come_ages_after_the_approval(self):
        order = self._create_retained(
            [1000.0], confirm=False, method="release_milestone", trigger="milestone", days=3650
        )
        order.milestone_ids.filtered("amount_untaxed").contract_date = self.today
        for record in (order, self.company):
            with self.assertRefused("at most 3650 days"), self.env.cr.savepoint():
                record.milestone_retention_days = 2_000_000_000

    def test_orders_without_retention_are_left_alone(self):
        order = self._create_contract([1000.0])
        invoice = self._bill(order.milestone_ids)
        self.assertEqual(len(invoice.line_ids.filtered(lambda line: line.display_type == "payment_term")), 1)
        self.assertFalse(invoice.retention_statement)
        self.assertIsInstance(fields.Date.to_date(invoice.invoice_date_due), date)
        self.assertRaises(UserError, order.with_user(self.users["accountant"]).action_release_retention)

    def test_every_post_writes_the_order(self):
        """Also one that retains nothing: whoever posts at the same time is tried again, and sees it."""
        order = self._create_retained([1000.0] * 3, cap=1.0, milestone_invoice_policy="draft")
        first, second, third = self._bill(order.milestone_ids)
        self.env.flush_all()
        counts = []
        for invoice in (first, second, third):
            invoice.action_post()
            self.env.cr.execute("SELECT retention_post_count FROM sale_order WHERE id = %s", [order.id])
            counts.append(self.env.cr.fetchone()[0])
        self.assertEqual((first + second + third).mapped("retention_amount"), [30.0, 0.0, 0.0])
        self.assertEqual(counts, [counts[0], counts[0] + 1, counts[0] + 2])


@tagged("post_install", "-at_install")
class TestRetentionPortal(RetentionCommon, HttpCase):
    """Clients read their invoices, whatever those keep back."""

    def test_clients_see_the_list_of_their_invoices(self):
        self.env["res.users"].create(
            {
                "name": "Client",
                "login": "retention_client",
                "password": "retention_client",
                "partner_id": self.client_company.id,
                "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
            }
        )
        order = self._create_retained([1000.0, 500.0])
        kept, released = self._bill(order.milestone_ids)
        self._pay(released, 100.0)
        self._release(order, 20.0)
        overdue = kept.line_ids.filtered(lambda line: line.account_id == self.trade_account)
        overdue.date_maturity = kept.invoice_date_due = self.today - timedelta(days=3)
        self.authenticate("retention_client", "retention_client")
        for query in ("", "?filterby=invoices", "?filterby=overdue_invoices", "?sortby=duedate"):
            page = self.url_open(f"/my/invoices{query}")
            self.assertEqual(page.status_code, 200, query)
            self.assertIn(kept.name, page.text, query)
        for invoice in (kept, released):
            self.assertEqual(self.url_open(f"/my/invoices/{invoice.id}").status_code, 200)
