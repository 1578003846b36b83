# The errors that these tests raise stand for those of other modules.
# pylint: disable=translation-required
from datetime import date, timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.account.models.account_move import AccountMove

from .common import MilestoneCommon

QUEUE_LOGGER = "odoo.addons.milestone_billing.models.sale_milestone_billing"


@tagged("post_install", "-at_install")
class TestInvoiceQueue(MilestoneCommon):
    """From approval to invoice: one way, in batches, and no failure is lost or starves the rest."""

    def setUp(self):
        super().setUp()
        self.calls = {"create": [], "_post": []}
        for name in self.calls:
            original = getattr(AccountMove, name)

            def counted(moves, *args, name=name, original=original, **kwargs):
                self.calls[name].append(moves)
                return original(moves, *args, **kwargs)

            # the innermost method of the model: whatever wraps it is counted once
            patcher = patch.object(AccountMove, name, counted)
            self.addCleanup(patcher.stop)
            patcher.start()

    def _check_failed(self, milestone, reason):
        """The approval stands; the reason is kept, told to one person once, and tried again tomorrow."""
        self.assertEqual(milestone.state, "approved")
        self.assertEqual(milestone.billing_state, "to_invoice")
        self.assertRegex(milestone.invoice_error, reason)
        activity = milestone.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertTrue(activity.user_id.has_group("account.group_account_invoice"))
        self.assertEqual(activity.activity_type_id, self.env.ref("milestone_billing.mail_activity_invoice_failed"))
        self.assertGreater(milestone.invoice_queued_on, fields.Datetime.now() + timedelta(hours=23))

    def _check_repaired(self, milestone):
        self.assertEqual(milestone.billing_state, "invoiced")
        self.assertFalse(milestone.invoice_error or milestone.activity_ids or milestone.invoice_queued_on)

    def test_who_bills_several_now_is_told_which_one_fails(self):
        account = self.env["account.account"].create({"name": "Old", "code": "999777", "account_type": "income"})
        product = self._create_product(name="Old work", type="service", property_account_income_id=account.id)
        orders = self.env["sale.order"].union(
            *(self._create_contract([100.0]) for _number in range(2)),
            self._create_contract([{"amount_untaxed": 300.0, "product_id": product.id, "name": "Old part"}, 50.0]),
        )
        orders.milestone_invoice_policy = "post"
        self._approve(orders.milestone_ids)
        account.active = False
        with self.assertRefused(r"Old part.* cannot be invoiced: .*999777"):
            orders.milestone_ids.action_create_invoices()
        self.assertFalse(orders.invoice_ids, "all or none")
        with self.assertRefused("999777"):
            orders.milestone_ids.filtered(lambda milestone: milestone.name == "Old part").action_create_invoices()

    # -- policies -----------------------------------------------------------------------------------

    def test_the_policy_says_what_an_approval_leads_to(self):
        for policy, state in (("manual", False), ("draft", "draft"), ("post", "posted"), ("send", "posted")):
            with self.subTest(policy=policy):
                order = self._create_contract([100.0], milestone_invoice_policy=policy)
                milestone = order.milestone_ids
                self._approve(milestone)
                self.assertEqual(bool(milestone.invoice_queued_on), policy != "manual")
                self._run_queue()
                invoice = milestone.invoice_line_ids.move_id
                self.assertEqual(invoice.state, state)
                self.assertEqual(bool(invoice.sending_data), policy == "send")
                if policy == "manual":
                    milestone.action_create_invoices()
                    self.assertEqual(milestone.billing_state, "draft")

    def test_what_waits_follows_a_policy_that_changes(self):
        order = self._create_contract([100.0], milestone_invoice_policy="manual")
        milestone = order.milestone_ids
        self._approve(milestone)
        order.milestone_invoice_policy = "draft"
        order.milestone_invoice_policy = "manual"
        self._run_queue()
        self.assertFalse(order.invoice_ids)
        order.milestone_invoice_policy = "draft"
        self._run_queue()
        self.assertEqual(milestone.billing_state, "draft")
        order.invoice_ids.unlink()
        order.milestone_invoice_policy = "post"
        self._run_queue()
        self.assertEqual(milestone.billing_state, "to_invoice", "whose draft was deleted waits for a person")

    def test_a_failure_is_not_tried_again_when_it_waits_for_an_accountant(self):
        order = self._create_contract([100.0], milestone_invoice_policy="post")
        milestone = order.milestone_ids
        self._approve(milestone)
        with patch.object(AccountMove, "_post", side_effect=UserError("Closed")):
            self._run_queue()
        self._check_failed(milestone, "Closed")
        order.milestone_invoice_policy = "manual"
        with freeze_time(fields.Datetime.now() + timedelta(days=2)):
            self._run_queue()
        self.assertFalse(order.invoice_ids)
        self.assertFalse(milestone.invoice_queued_on)
        order.milestone_invoice_policy = "post"
        self._run_queue()
        self._check_repaired(milestone)

    def test_the_day_of_an_invoice_is_that_of_the_company(self):
        """On the evening of a year's last day, wherever the server and who presses the button are."""
        cases = [
            ("America/Los_Angeles", "2027-01-01 01:00:00", "2026-12-31"),
            ("Asia/Tokyo", "2026-12-31 16:00:00", "2027-01-01"),
        ]
        for timezone, now, day in cases:
            with self.subTest(timezone=timezone), freeze_time(now):
                self.company.partner_id.tz = timezone
                advanced = self._create_contract(
                    [100.0], milestone_advance_type="percentage", milestone_advance_percentage=10.0
                )
                queued, pressed = (self._create_contract([100.0]).milestone_ids for _number in range(2))
                self._approve(pressed)
                pressed.with_context(tz="UTC").action_create_invoices()
                self._bill(queued | advanced.milestone_ids)
                invoices = (queued | pressed).order_id.invoice_ids | advanced.invoice_ids
                self.assertEqual(len(invoices), 4)
                self.assertEqual(set(invoices.mapped("invoice_date")), {date.fromisoformat(day)})

    def test_an_approval_wakes_the_queue_and_makes_no_invoice_itself(self):
        order = self._create_contract([100.0])
        cron = self.env.ref("milestone_billing.ir_cron_invoice_queue")
        triggers = self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", cron.id)])
        self._approve(order.milestone_ids)
        self.assertTrue(self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", cron.id)]) - triggers)
        self.assertFalse(order.invoice_ids)
        self.assertFalse(self.calls["create"])

    def test_the_approval_of_a_client_without_rights_is_invoiced_by_policy(self):
        order = self._create_contract([100.0])
        portal_user = self._create_new_portal_user(login="client", partner_id=self.approver.id)
        milestone = order.milestone_ids
        self._submit(milestone, self.users["salesperson"])
        milestone.with_user(portal_user).sudo()._approve(self._evidence(milestone))
        self._run_queue()
        self.assertEqual(milestone.billing_state, "invoiced")
        with self.assertRaises(AccessError):
            milestone.with_user(portal_user).action_create_invoices()
        for role in ("salesperson", "sale_manager", "project_manager", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                milestone.with_user(self.users[role]).action_create_invoices()
        self.assertFalse(self.users["salesperson"].has_group("account.group_account_invoice"))

    def test_an_invoicing_user_invoices_by_hand(self):
        order = self._create_contract([100.0, 200.0], milestone_invoice_policy="manual")
        self._approve(order.milestone_ids)
        action = order.milestone_ids.with_user(self.users["invoicing"]).action_create_invoices()
        self.assertEqual(len(order.invoice_ids), 2)
        self.assertEqual(action["domain"][0][2], order.invoice_ids.ids)

    def test_what_cannot_be_invoiced_by_hand_is_named(self):
        order = self._create_contract([100.0, 200.0])
        first, second = order.milestone_ids
        self._approve(first)
        with self.assertRefused("Milestone 2 cannot be invoiced: it is not approved"):
            order.milestone_ids.action_create_invoices()
        first.action_hold("Dispute")
        with self.assertRefused("Milestone 1 cannot be invoiced: it is on hold"):
            first.action_create_invoices()
        first.action_release()
        self._run_queue()
        with self.assertRefused("Milestone 1 cannot be invoiced: it is invoiced already"):
            first.action_create_invoices()
        with self.assertRefused("grouped by milestone, order or customer"):
            first.action_create_invoices(grouping="moon")

    # -- batches ------------------------------------------------------------------------------------

    def test_any_number_of_milestones_takes_one_create_and_one_post(self):
        for grouping, count in (("milestone", 6), ("order", 2), ("customer", 1)):
            with self.subTest(grouping=grouping):
                self.company.milestone_invoice_grouping = grouping
                orders = self._create_contract([10.0] * 3) + self._create_contract([10.0] * 3)
                self._approve(orders.milestone_ids)
                for calls in self.calls.values():
                    calls.clear()
                self._run_queue()
                self.assertEqual({name: len(calls) for name, calls in self.calls.items()}, {"create": 1, "_post": 1})
                self.assertEqual(len(orders.invoice_ids), count)
                self.assertEqual(set(orders.milestone_ids.mapped("billing_state")), {"invoiced"})

    def test_one_invoice_per_milestone_has_the_lines_of_its_milestone(self):
        order = self._create_contract([10.0, 20.0, 30.0])
        self._approve(order.milestone_ids)
        self._run_queue()
        for milestone in order.milestone_ids:
            invoice = self._invoices(milestone)
            self.assertEqual(invoice.billing_milestone_ids, milestone)
            self.assertEqual(invoice.amount_untaxed, milestone.amount_untaxed)
            self.assertEqual(invoice.invoice_line_ids.sale_line_ids.billing_milestone_id, milestone)
            self.assertEqual(invoice.invoice_origin, order.name)

    def test_the_only_line_of_an_invoice_bears_the_name_of_its_milestone(self):
        line = {"product_id": self.product.id, "price_unit": 10.0}
        order = self._create_gated_order([[{**line, "name": "Design\nof the site"}], [{**line, "name": "Milestone 2"}]])
        self._approve(order.milestone_ids)
        self._run_queue()
        first, second = (self._invoices(milestone).invoice_line_ids for milestone in order.milestone_ids)
        product = self.product.display_name
        self.assertEqual(first.mapped("name"), [f"{product}\nMilestone 1\nDesign\nof the site"])
        self.assertEqual(second.mapped("name"), [f"{product}\nMilestone 2"], "it is named already")

    def test_several_lines_stand_under_the_name_of_their_milestone(self):
        line = {"product_id": self.product.id, "price_unit": 10.0}
        order = self._create_gated_order([[line, line], [line]], free=[line])
        self._approve(order.milestone_ids[0])
        self._run_queue()
        invoice = self._invoices(order.milestone_ids[0])
        self.assertEqual(invoice.invoice_line_ids.mapped("display_type"), ["line_section", "product", "product"])
        self.assertEqual(invoice.invoice_line_ids[0].name, "Milestone 1")
        self._approve(order.milestone_ids[1])
        together = order._create_invoices()
        self.assertEqual(together.invoice_line_ids.mapped("display_type"), ["product", "line_section", "product"])

    def test_one_invoice_per_customer_takes_the_milestones_of_several_orders(self):
        self.company.milestone_invoice_grouping = "customer"
        first, second = self._create_contract([10.0]), self._create_contract([20.0])
        eur = self.setup_other_currency("EUR", rates=[("1900-01-01", 1.1)])
        foreign = self._create_contract([30.0], currency=eur)
        stranger = self._create_contract(
            [40.0], partner_id=self.stranger.id, milestone_approver_ids=[Command.set(self.stranger.ids)]
        )
        orders = first + second + foreign + stranger
        self._approve((first + second + foreign).milestone_ids)
        self._submit(stranger.milestone_ids)
        stranger.milestone_ids._approve(self._evidence(stranger.milestone_ids, partner=self.stranger))
        self._run_queue()
        self.assertEqual(first.invoice_ids, second.invoice_ids)
        self.assertEqual(len(orders.invoice_ids), 3)
        for order in orders:
            self.assertEqual(order.milestone_ids.billing_state, "invoiced")

    def test_a_second_run_changes_nothing(self):
        order = self._create_contract([10.0, 20.0])
        self._bill(order.milestone_ids)
        invoices = order.invoice_ids
        self._run_queue()
        self.assertEqual(order.invoice_ids, invoices)
        self.assertEqual(len(invoices), 2)
        self.assertFalse(order.milestone_ids.filtered("invoice_queued_on"))

    def test_batches_follow_each_other_until_the_queue_is_empty(self):
        order = self._create_contract([10.0] * 5)
        self._approve(order.milestone_ids)
        with patch("odoo.addons.milestone_billing.models.sale_milestone_queue.BATCH_SIZE", 2):
            self._run_queue()
        self.assertEqual(set(order.milestone_ids.mapped("billing_state")), {"invoiced"})

    def test_different_policies_and_companies_wait_in_one_queue(self):
        drafts = self._create_contract([10.0], milestone_invoice_policy="draft")
        posts = self._create_contract([10.0], milestone_invoice_policy="post")
        self._approve((drafts + posts).milestone_ids)
        self._run_queue()
        self.assertEqual((drafts.invoice_ids.state, posts.invoice_ids.state), ("draft", "posted"))

    def test_the_cost_of_an_invoice_does_not_grow_with_the_batch(self):
        def count_queries(number):
            order = self._create_contract([10.0] * number)
            self._approve(order.milestone_ids)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self._run_queue()
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        count_queries(1)  # warm
        few, many = count_queries(3), count_queries(12)
        self.assertLess((many - few) / 9, 60)

    # -- hold ---------------------------------------------------------------------------------------

    def test_a_hold_keeps_a_milestone_out_of_the_queue_until_it_is_lifted(self):
        order = self._create_contract([10.0, 20.0])
        held, free = order.milestone_ids
        held.action_hold("Dispute")
        self._approve(order.milestone_ids)
        self._run_queue()
        self.assertEqual((held.billing_state, free.billing_state), ("to_invoice", "invoiced"))
        held.action_release()
        self._run_queue()
        self.assertEqual(held.billing_state, "invoiced")

    def test_a_hold_is_for_those_allowed_and_not_for_a_write(self):
        order = self._create_contract([10.0])
        for role in ("salesperson", "project_user", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                order.milestone_ids.with_user(self.users[role]).action_hold("Dispute")
        with self.assertRaises(AccessError):
            order.milestone_ids.on_hold = True

    def test_a_native_invoice_does_not_take_what_is_on_hold(self):
        order = self._create_contract([10.0])
        self._approve(order.milestone_ids)
        order.milestone_ids.action_hold("Dispute")
        with self.assertRaises(UserError):
            order._create_invoices(final=True)

    # -- failures -------------------------------------------------------------------------------------

    def test_a_lock_date_does_not_lose_the_approval(self):
        order = self._create_contract([10.0, 20.0])
        self._approve(order.milestone_ids)
        self.company.sudo().fiscalyear_lock_date = fields.Date.today() + timedelta(days=3)
        self._run_queue()
        for milestone in order.milestone_ids:
            self._check_failed(milestone, "Lock")
        self.assertFalse(order.invoice_ids, "nothing half done")
        self.company.sudo().fiscalyear_lock_date = False
        self._run_queue()
        self.assertEqual(set(order.milestone_ids.mapped("billing_state")), {"to_invoice"}, "not before tomorrow")
        with freeze_time(fields.Datetime.now() + timedelta(days=1, minutes=1)):
            self._run_queue()
        for milestone in order.milestone_ids:
            self._check_repaired(milestone)

    def test_a_missing_income_account_is_told_and_the_rest_is_invoiced(self):
        orphan = self._create_product(
            name="No account", type="service", taxes_id=False, property_account_income_id=False
        )
        broken = self._create_gated_order([[{"product_id": orphan.id, "price_unit": 5.0}]])
        sound = self._create_contract([10.0, 20.0])
        self._approve((broken + sound).milestone_ids)
        # the one that fails comes first, and must not starve the others
        broken.milestone_ids._write_protected({"invoice_queued_on": "2020-01-01"})
        self._clear_income_accounts()
        with (
            patch.object(
                type(self.env["product.template"]),
                "_get_product_accounts",
                self._without_account(orphan.product_tmpl_id),
            ),
            mute_logger("odoo.sql_db"),
        ):
            self._run_queue()
            self._check_failed(broken.milestone_ids, "Missing required account")
            self.assertEqual(set(sound.milestone_ids.mapped("billing_state")), {"invoiced"})
            self.assertFalse(sound.milestone_ids.activity_ids)
            with freeze_time(fields.Datetime.now() + timedelta(days=1, minutes=1)):
                self._run_queue()
                self._check_failed(broken.milestone_ids, "Missing required account")
        broken.milestone_ids.action_create_invoices()
        self._check_repaired(broken.milestone_ids)

    def _clear_income_accounts(self):
        for journal in self.env["account.journal"].search(
            [("type", "=", "sale"), ("company_id", "=", self.company.id)]
        ):
            journal.default_account_id = False

    def _without_account(self, orphan):
        original = type(self.env["product.template"])._get_product_accounts

        def get_accounts(template):
            accounts = original(template)
            if template == orphan:
                accounts["income"] = self.env["account.account"]
            return accounts

        return get_accounts

    def test_an_inactive_journal_is_told_and_repaired(self):
        order = self._create_contract([10.0])
        journals = self.env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", self.company.id)])
        self._approve(order.milestone_ids)
        self._tamper("UPDATE account_journal SET active = FALSE WHERE id IN %s", [journals._ids])
        self._run_queue()
        self._check_failed(order.milestone_ids, "ournal")
        journals.active = True
        order.milestone_ids.action_create_invoices()
        self._check_repaired(order.milestone_ids)

    def test_an_error_of_a_program_is_told_too(self):
        order = self._create_contract([10.0, 20.0])
        self._approve(order.milestone_ids)
        first = order.milestone_ids[0]
        original = AccountMove._post

        def fail(moves, soft=True):
            if first in moves.line_ids.billing_milestone_id:
                raise ZeroDivisionError("division by zero")
            return original(moves, soft)

        with patch.object(AccountMove, "_post", fail), mute_logger(QUEUE_LOGGER):
            self._run_queue()
        self._check_failed(first, "Unexpected error.*division by zero")
        self.assertEqual(order.milestone_ids[1].billing_state, "invoiced")

    def test_a_failure_by_hand_is_shown_and_kept_nowhere(self):
        order = self._create_contract([10.0], milestone_invoice_policy="post")
        self._approve(order.milestone_ids)

        def refuse(moves, soft=True):
            raise UserError("the books are closed")

        with patch.object(AccountMove, "_post", refuse), self.assertRefused("the books are closed"):
            order.milestone_ids.action_create_invoices()
        self.assertFalse(order.milestone_ids.invoice_error)
        self._run_queue()
        self.assertEqual(order.milestone_ids.billing_state, "invoiced")

    def test_an_error_is_text(self):
        order = self._create_contract([10.0])
        self._approve(order.milestone_ids)

        def refuse(moves, soft=True):
            raise UserError("<script>alert(1)</script>")

        with patch.object(AccountMove, "_post", refuse):
            self._run_queue()
        self.assertNotIn("<script", order.milestone_ids.activity_ids.note or "")

    def test_a_failed_milestone_is_told_to_the_salesperson_who_invoices(self):
        self.users["salesperson"].group_ids += self.env.ref("account.group_account_invoice")
        order = self._create_contract([10.0])
        self._approve(order.milestone_ids)

        def refuse(moves, soft=True):
            raise UserError("no")

        with patch.object(AccountMove, "_post", refuse):
            self._run_queue()
        self.assertEqual(order.milestone_ids.activity_ids.user_id, self.users["salesperson"])

    def test_a_failure_leaves_with_the_approval_or_with_a_native_invoice(self):
        order = self._create_contract([10.0])
        milestone = order.milestone_ids
        self._approve(milestone)

        def refuse(moves, soft=True):
            raise UserError("no")

        with patch.object(AccountMove, "_post", refuse):
            self._run_queue()
        order._create_invoices().action_post()
        self._check_repaired(milestone)

    def test_invoices_have_the_language_company_and_term_of_their_order(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_company.lang = "fr_FR"
        term = self.pay_terms_b
        order = self._create_contract([10.0], payment_term_id=term.id)
        self._bill(order.milestone_ids)
        invoice = order.invoice_ids
        self.assertEqual(invoice.invoice_payment_term_id, term)
        self.assertEqual(invoice.company_id, self.company)
        self.assertEqual(len(invoice.line_ids.filtered(lambda line: line.display_type == "payment_term")), 2)
