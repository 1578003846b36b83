# The errors that these tests raise stand for those of other modules.
# pylint: disable=translation-required
from datetime import date, datetime
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged

from odoo.addons.account.models.account_move import AccountMove

from .common import MilestoneCommon

BATCH_SIZE = "odoo.addons.milestone_billing.models.sale_milestone_queue.BATCH_SIZE"
# A Wednesday.
NOW = "2026-03-11 10:00:00"
MONDAY = "2026-03-16 00:01:00"


@tagged("post_install", "-at_install")
class TestConsolidated(MilestoneCommon):
    """Milestones that wait for a billing day, or a person, come on one invoice per customer and terms."""

    def setUp(self):
        super().setUp()
        self.enterContext(freeze_time(NOW))
        self.company.partner_id.tz = "UTC"

    def _create_weekly(self, amounts, **values):
        return self._create_contract(amounts, **{"milestone_invoice_schedule": "weekly", **values})

    def _create_for(self, customer, amounts=(10.0,), **values):
        return self._create_weekly(
            amounts, partner_id=customer.id, milestone_approver_ids=[Command.set(customer.ids)], **values
        )

    def _approve_by_customer(self, orders):
        self._submit(orders.milestone_ids)
        for milestone in orders.milestone_ids:
            milestone.sudo()._approve(self._evidence(milestone, partner=milestone.order_id.milestone_approver_ids))

    # -- terms --------------------------------------------------------------------------------------

    def test_an_order_takes_the_schedule_of_its_customer_or_of_the_company(self):
        self.company.write(
            {
                "milestone_invoice_schedule": "weekly",
                "milestone_invoice_weekday": "4",
                "milestone_invoice_month_day": 20,
            }
        )
        order = self._create_contract([10.0], confirm=False)
        self.assertEqual((order.milestone_invoice_schedule, order.milestone_invoice_weekday), ("weekly", "4"))
        self.client_company.milestone_invoice_schedule = "monthly"
        form = Form(self.env["sale.order"])
        form.partner_id = self.approver
        self.assertEqual(form.milestone_invoice_schedule, "monthly", "a contact follows its company")
        self.assertEqual(form.milestone_invoice_month_day, 20)

    def test_the_schedule_is_a_term_of_the_contract(self):
        order = self._create_weekly([10.0])
        self.client_company.milestone_invoice_schedule = "monthly"
        self.company.milestone_invoice_schedule = "on_demand"
        self.assertEqual(order.milestone_invoice_schedule, "weekly")
        self.assertEqual(order._prepare_contract_values()["billed"], "weekly")
        with self.assertRaises(AccessError):
            order.with_user(self.users["salesperson"]).milestone_invoice_schedule = "at_once"
        order.with_user(self.users["sale_manager"]).milestone_invoice_schedule = "at_once"
        self.assertNotIn("billed", order._prepare_contract_values())

    def test_the_next_billing_day_begins_in_the_time_zone_of_the_company(self):
        order = self._create_contract([10.0])
        cases = [
            # schedule, weekday, day of the month, time zone, now (UTC), begin of the billing day (UTC)
            ("weekly", "0", 1, "UTC", "2026-03-11 10:00:00", "2026-03-16 00:00:00"),
            ("weekly", "2", 1, "UTC", "2026-03-11 10:00:00", "2026-03-18 00:00:00"),  # its own day is over
            ("weekly", "3", 1, "Asia/Tokyo", "2026-03-11 14:59:00", "2026-03-11 15:00:00"),
            ("weekly", "3", 1, "Asia/Tokyo", "2026-03-11 15:01:00", "2026-03-18 15:00:00"),
            ("weekly", "0", 1, "Europe/Paris", "2026-03-27 12:00:00", "2026-03-29 22:00:00"),  # summer time
            ("monthly", "0", 15, "UTC", "2026-03-11 10:00:00", "2026-03-15 00:00:00"),
            ("monthly", "0", 11, "UTC", "2026-03-11 10:00:00", "2026-04-11 00:00:00"),
            ("monthly", "0", 31, "UTC", "2026-01-31 10:00:00", "2026-02-28 00:00:00"),
            ("monthly", "0", 31, "UTC", "2028-02-28 10:00:00", "2028-02-29 00:00:00"),
            ("monthly", "0", 30, "UTC", "2026-12-31 10:00:00", "2027-01-30 00:00:00"),
            ("monthly", "0", 1, "America/New_York", "2026-04-01 03:00:00", "2026-04-01 04:00:00"),
        ]
        for schedule, weekday, day, timezone, now, expected in cases:
            with self.subTest(schedule=schedule, timezone=timezone, now=now), freeze_time(now):
                self.company.partner_id.tz = timezone
                order.write(
                    {
                        "milestone_invoice_schedule": schedule,
                        "milestone_invoice_weekday": weekday,
                        "milestone_invoice_month_day": day,
                    }
                )
                self.assertEqual(order._get_next_billing_time(), datetime.fromisoformat(expected))
        order.milestone_invoice_schedule = "on_demand"
        self.assertFalse(order._get_next_billing_time())

    # -- waiting ------------------------------------------------------------------------------------

    def test_milestones_wait_for_the_billing_day_and_come_on_one_invoice(self):
        first, second = self._create_weekly([10.0, 20.0]), self._create_weekly([30.0], client_order_ref="PO 7")
        orders = first + second
        self._approve(orders.milestone_ids)
        self._run_queue()
        self.assertFalse(orders.invoice_ids)
        self.assertEqual(set(orders.milestone_ids.mapped("invoice_queued_on")), {datetime(2026, 3, 16)})
        with freeze_time(MONDAY):
            self._run_queue()
            self._run_queue()  # a second run changes nothing
        invoice = orders.invoice_ids
        self.assertEqual(len(invoice), 1)
        self.assertEqual((invoice.state, invoice.invoice_date), ("posted", date(2026, 3, 16)))
        self.assertEqual(invoice.amount_untaxed, 60.0)
        self.assertEqual(invoice.invoice_origin, f"{first.name}, {second.name}")
        self.assertEqual(invoice.ref, f"{first.name}, PO 7")
        sections = invoice.invoice_line_ids.filtered(lambda line: line.display_type == "line_section")
        self.assertEqual(
            sections.sorted("sequence").mapped("name"),
            [f"{first.name} – Milestone 1", f"{first.name} – Milestone 2", f"{second.name} (PO 7) – Milestone 1"],
        )
        self.assertEqual(
            invoice.invoice_line_ids.sorted("sequence").mapped("display_type"), ["line_section", "product"] * 3
        )
        for order in orders:
            self.assertEqual(order.invoice_status, "invoiced")
            self.assertFalse(order.milestone_ids.filtered("invoice_queued_on"))

    def test_what_is_approved_on_a_billing_day_waits_for_the_next(self):
        order = self._create_weekly([10.0])
        with freeze_time("2026-03-16 09:00:00"):
            self._approve(order.milestone_ids)
            self._run_queue()
            self.assertFalse(order.invoice_ids)
        with freeze_time("2026-03-23 00:01:00"):
            self._run_queue()
        self.assertEqual(order.invoice_ids.invoice_date, date(2026, 3, 23))

    def test_a_late_run_dates_the_invoice_on_the_billing_day_of_the_company(self):
        self.company.partner_id.tz = "America/New_York"
        order = self._create_weekly([10.0])
        self._approve(order.milestone_ids)
        with freeze_time("2026-03-17 12:00:00"):  # the server was down on Monday
            self._run_queue()
        self.assertEqual(order.invoice_ids.invoice_date, date(2026, 3, 16))

    def test_a_hold_that_is_lifted_waits_for_the_next_billing_day(self):
        order = self._create_weekly([10.0])
        order.milestone_ids.action_hold("Dispute")
        self._approve(order.milestone_ids)
        with freeze_time(MONDAY):
            self._run_queue()
            self.assertFalse(order.invoice_ids)
            order.milestone_ids.action_release()
            self._run_queue()
            self.assertFalse(order.invoice_ids)
            self.assertEqual(order.milestone_ids.invoice_queued_on, datetime(2026, 3, 23))

    def test_a_new_billing_day_moves_what_waits(self):
        order = self._create_weekly([10.0, 20.0])
        approved = order.milestone_ids[0]
        self._approve(approved)
        order.milestone_invoice_weekday = "4"
        self.assertEqual(approved.invoice_queued_on, datetime(2026, 3, 13))
        order.milestone_invoice_schedule = "on_demand"
        self.assertFalse(approved.invoice_queued_on)
        order.milestone_invoice_schedule = "at_once"
        self._run_queue()
        self.assertEqual(approved.billing_state, "invoiced")
        self.assertFalse(order.milestone_ids[1].invoice_queued_on)

    def test_on_demand_waits_for_somebody(self):
        orders = self._create_weekly([10.0, 20.0], milestone_invoice_schedule="on_demand")
        orders += self._create_weekly([30.0], milestone_invoice_schedule="on_demand")
        self._approve(orders.milestone_ids)
        with freeze_time("2027-01-01"):
            self._run_queue()
        self.assertEqual(set(orders.milestone_ids.mapped("billing_state")), {"to_invoice"})
        for role in ("salesperson", "sale_manager", "project_manager", "reviewer"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                self.approver.with_user(self.users[role]).action_bill_milestones()
        self.approver.with_user(self.users["invoicing"]).action_bill_milestones()
        invoice = orders.invoice_ids
        self.assertEqual((len(invoice), invoice.state, invoice.amount_untaxed), (1, "posted", 60.0))
        self.assertEqual(invoice.invoice_date, date(2026, 3, 11))
        with self.assertRefused("No approved milestone of Stranger"):
            self.stranger.action_bill_milestones()

    def test_a_selection_is_billed_together_before_its_day(self):
        order = self._create_weekly([10.0, 20.0, 30.0])
        self._approve(order.milestone_ids)
        order.milestone_ids[:2].action_create_invoices()
        self.assertEqual((len(order.invoice_ids), order.invoice_ids.amount_untaxed), (1, 30.0))
        self.assertEqual(order.milestone_ids[2].billing_state, "to_invoice")

    def test_what_waits_for_an_accountant_has_no_billing_day(self):
        order = self._create_weekly([10.0, 20.0], milestone_invoice_policy="manual")
        self._approve(order.milestone_ids)
        self.assertFalse(order.milestone_ids.filtered("invoice_queued_on"))
        order.milestone_ids.action_create_invoices()
        self.assertEqual((len(order.invoice_ids), order.invoice_ids.state), (1, "draft"))

    def test_what_waits_for_a_billing_day_follows_a_policy_that_changes(self):
        order = self._create_weekly([10.0, 20.0, 30.0])
        approved = order.milestone_ids[:2]
        self._approve(approved)
        order.with_user(self.users["sale_manager"]).milestone_invoice_policy = "manual"
        self.assertFalse(approved.filtered("invoice_queued_on"))
        with freeze_time(MONDAY):
            self._run_queue()
            self.assertFalse(order.invoice_ids, "it waits for an accountant")
            order.with_user(self.users["sale_manager"]).milestone_invoice_policy = "draft"
            self.assertEqual(set(approved.mapped("invoice_queued_on")), {datetime(2026, 3, 23)})
            order.milestone_invoice_policy = "post"
            self.assertEqual(set(approved.mapped("invoice_queued_on")), {datetime(2026, 3, 23)})
        with freeze_time("2026-03-23 00:01:00"):
            self._run_queue()
        self.assertEqual((order.invoice_ids.state, order.invoice_ids.amount_untaxed), ("posted", 30.0))
        self.assertFalse(order.milestone_ids[2].invoice_queued_on)

    def test_what_is_on_hold_while_the_policy_changes_follows_it_afterwards(self):
        order = self._create_weekly([10.0])
        self._approve(order.milestone_ids)
        order.milestone_ids.action_hold("Dispute")
        order.milestone_invoice_policy = "manual"
        order.milestone_ids.action_release()
        with freeze_time(MONDAY):
            self._run_queue()
        self.assertFalse(order.invoice_ids)

    # -- who shares an invoice -----------------------------------------------------------------------

    def test_different_customers_never_share_an_invoice(self):
        payer = self.env["res.partner"].create({"name": "Shared services", "is_company": True})
        orders = self._create_for(self.client_company, partner_invoice_id=payer.id)
        orders += self._create_for(self.stranger, partner_invoice_id=payer.id)
        self._approve_by_customer(orders)
        with freeze_time(MONDAY):
            self._run_queue()
        self.assertEqual(len(orders.invoice_ids), 2)
        self.assertEqual(orders.invoice_ids.partner_id, payer)

    def test_contacts_of_a_company_share_the_invoice_to_its_invoice_address(self):
        office = self.env["res.partner"].create(
            {"name": "Accounts payable", "type": "invoice", "parent_id": self.client_company.id}
        )
        orders = self._create_for(self.approver) + self._create_for(self.other_contact)
        self.assertEqual(orders.partner_invoice_id, office)
        self.assertEqual(len(orders.partner_shipping_id), 2)
        self._approve_by_customer(orders)
        with freeze_time(MONDAY):
            self._run_queue()
        self.assertEqual(len(orders.invoice_ids), 1)
        self.assertEqual(orders.invoice_ids.partner_shipping_id, office, "no address of one of them stands for both")

    def test_goods_are_billed_by_where_they_go(self):
        goods = self._create_product(name="Machine", type="consu", invoice_policy="order", taxes_id=False)
        office = self.env["res.partner"].create(
            {"name": "Accounts payable", "type": "invoice", "parent_id": self.client_company.id}
        )
        orders = self.env["sale.order"]
        for contact in (self.approver, self.other_contact):
            orders += self._create_gated_order(
                [[{"product_id": goods.id, "price_unit": 5.0}]],
                partner_id=contact.id,
                milestone_invoice_schedule="weekly",
            )
        self._approve(orders.milestone_ids)
        with freeze_time(MONDAY):
            self._run_queue()
        self.assertEqual(orders.invoice_ids.partner_id, office)
        self.assertEqual(len(orders.invoice_ids), 2)

    def test_different_terms_are_different_invoices(self):
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        journal = self.env["account.journal"].create({"name": "Second", "type": "sale", "code": "SAL2"})
        eur = self.setup_other_currency("EUR", rates=[("1900-01-01", 1.1)])
        office = self.env["res.partner"].create({"name": "Office", "parent_id": self.client_company.id})
        plain = self._create_weekly([10.0]) + self._create_weekly([20.0])
        others = [
            self._create_weekly([10.0], payment_term_id=self.pay_terms_b.id),
            self._create_weekly([10.0], fiscal_position_id=position.id),
            self._create_weekly([10.0], journal_id=journal.id),
            self._create_weekly([10.0], partner_invoice_id=office.id),
            self._create_weekly([10.0], currency=eur),
            self._create_weekly([10.0], milestone_invoice_policy="draft"),
        ]
        orders = plain.union(*others)
        self._approve(orders.milestone_ids)
        with freeze_time(MONDAY):
            self._run_queue()
        self.assertEqual(len(plain.invoice_ids), 1)
        self.assertEqual(len(orders.invoice_ids), 1 + len(others))

    def test_terms_and_conditions_of_all_orders_are_kept_once(self):
        notes = ("<p>Net 30</p>", "<p>Net 30</p>", "<p>Two years of warranty</p>")
        orders = self.env["sale.order"].union(*(self._create_weekly([10.0], note=note) for note in notes))
        self._approve(orders.milestone_ids)
        with freeze_time(MONDAY):
            self._run_queue()
        narration = str(orders.invoice_ids.narration)
        self.assertEqual((narration.count("Net 30"), narration.count("warranty")), (1, 1))

    # -- batches --------------------------------------------------------------------------------------

    def test_a_batch_never_tears_an_invoice(self):
        orders = self.env["sale.order"]
        for _round in range(3):  # customers take turns in the queue
            orders += self._create_for(self.client_company, [10.0, 20.0]) + self._create_for(self.stranger, [5.0])
        self._approve_by_customer(orders)
        with freeze_time(MONDAY), patch(BATCH_SIZE, 2):
            self._run_queue()
        self.assertEqual(len(orders.invoice_ids), 2)
        self.assertEqual(sorted(orders.invoice_ids.mapped("amount_untaxed")), [15.0, 90.0])

    def test_batches_end_between_customers(self):
        customers = self.env["res.partner"].create(
            [{"name": f"Customer {number}", "email": f"customer{number}@example.com"} for number in range(4)]
        )
        orders = self.env["sale.order"].union(*(self._create_for(customer, [1.0, 2.0, 3.0]) for customer in customers))
        self._approve_by_customer(orders)
        with freeze_time(MONDAY), patch(BATCH_SIZE, 4), self._cron_mode() as env:
            domain = env["sale.milestone"]._get_invoice_queue_domain()
            batch = env["sale.milestone"]._take_invoice_batch(domain)
            self.assertEqual(len(batch), 6, "two whole customers, and not four milestones")
            self.assertEqual(len(batch.partner_id), 2)

    def test_an_invoice_waits_for_milestones_that_somebody_else_holds(self):
        mine, other = self._create_for(self.client_company, [10.0, 20.0]), self._create_for(self.stranger)
        self._approve_by_customer(mine + other)
        held = mine.milestone_ids[:1]
        Milestone = type(held)
        original = Milestone.try_lock_for_update

        def lock_but_one(milestones, **kwargs):
            return original(milestones, **kwargs) - held

        with freeze_time(MONDAY):
            with patch.object(Milestone, "try_lock_for_update", lock_but_one):
                self._run_queue()
            self.assertFalse(mine.invoice_ids)
            self.assertTrue(other.invoice_ids)
            self._run_queue()
        self.assertEqual((len(mine.invoice_ids), mine.invoice_ids.amount_untaxed), (1, 30.0))

    def test_a_run_that_dies_loses_nothing_and_bills_nothing_twice(self):
        orders = self._create_for(self.client_company, [1.0, 2.0]) + self._create_for(self.stranger, [4.0])
        self._approve_by_customer(orders)

        def die(moves):
            raise SystemExit

        with freeze_time(MONDAY):
            with patch.object(AccountMove, "action_post", die), self.assertRaises(SystemExit):
                with self.env.cr.savepoint():  # what is not committed is lost
                    self._run_queue()
            self.env.invalidate_all()
            self.assertFalse(orders.invoice_ids)
            self._run_queue()
        self.assertEqual(sorted(orders.invoice_ids.mapped("amount_untaxed")), [3.0, 4.0])

    # -- failures -------------------------------------------------------------------------------------

    def _fail_for(self, milestones):
        """Let no invoice be posted that has one of these."""
        original = AccountMove._post

        def fail(moves, soft=True):
            if milestones & moves.line_ids.billing_milestone_id:
                raise UserError("the books are closed")
            return original(moves, soft)

        return patch.object(AccountMove, "_post", fail)

    def test_one_failure_leaves_the_others_on_one_invoice(self):
        orders = self.env["sale.order"].union(*(self._create_weekly([10.0, 20.0]) for _number in range(4)))
        other = self._create_for(self.stranger)
        self._approve_by_customer(orders + other)
        broken = orders[2].milestone_ids[1]
        with freeze_time(MONDAY):
            with self._fail_for(broken):
                self._run_queue()
            self.assertEqual(broken.billing_state, "to_invoice")
            self.assertIn("the books are closed", broken.invoice_error)
            self.assertEqual(len(broken.activity_ids), 1)
            sound = orders.milestone_ids - broken
            self.assertFalse(sound.filtered("invoice_error"))
            self.assertEqual(len(orders.invoice_ids), 1)
            self.assertEqual(orders.invoice_ids.amount_untaxed, 100.0)
            self.assertEqual(other.invoice_ids.state, "posted")
        with freeze_time("2026-03-17 00:02:00"):
            self._run_queue()
        self.assertEqual(broken.billing_state, "invoiced")
        self.assertFalse(broken.invoice_error)

    def test_a_failure_of_all_together_is_kept_by_each(self):
        order = self._create_weekly([10.0, 20.0, 30.0])
        self._approve(order.milestone_ids)
        original = AccountMove._post

        def fail(moves, soft=True):
            if len(moves.line_ids.billing_milestone_id) == 3:
                raise UserError("too long")
            return original(moves, soft)

        with freeze_time(MONDAY), patch.object(AccountMove, "_post", fail):
            self._run_queue()
        self.assertFalse(order.invoice_ids)
        self.assertEqual(order.milestone_ids.mapped("invoice_error"), ["too long"] * 3)

    def test_a_failure_by_order_keeps_the_rest_of_the_order_together(self):
        self.company.milestone_invoice_grouping = "order"
        order = self._create_contract([10.0, 20.0, 30.0])
        self._approve(order.milestone_ids)
        with self._fail_for(order.milestone_ids[0]):
            self._run_queue()
        self.assertEqual((len(order.invoice_ids), order.invoice_ids.amount_untaxed), (1, 50.0))
