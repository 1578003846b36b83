"""What `tests/test_interrupted_queue.py` runs inside Odoo, each function in a process of its own."""

import os
from pathlib import Path

from odoo import fields

from odoo.addons.milestone_billing.models import sale_milestone_queue

from benchmarks.contracts import approve, find_milestones, make_contracts, make_partner, submit

# Small batches: as many commits as possible between which a process can die.
BATCH_SIZE = 3
ALONE, CUSTOMERS, ORDERS, MILESTONES = 30, 6, 2, 3


def prepare(env):
    """Fill the queue: milestones with an invoice each, and customers with one invoice for several orders."""
    env.company.milestone_invoice_grouping = "milestone"
    contracts = make_contracts(env, ALONE)
    for number in range(CUSTOMERS):
        customer = make_partner(env, number)
        contracts |= make_contracts(env, ORDERS, MILESTONES, partner=customer, milestone_invoice_schedule="weekly")
    milestones = find_milestones(env, contracts)
    submit(milestones)
    approve(milestones)
    milestones._write_protected({"invoice_queued_on": fields.Datetime.now()})
    return milestones.ids


def run_queue(env):
    """Run the cron's method; READY names a file that says when it begins."""
    sale_milestone_queue.BATCH_SIZE = BATCH_SIZE
    Path(os.environ["READY"]).write_text(str(env.cr.connection.info.backend_pid))
    env["sale.milestone"]._cron_process_invoice_queue()


def read(env):
    """Return of each milestone in the queue what the ledger has, and of each customer the invoices."""
    milestones = env["sale.milestone"].search([("id", "in", [int(id_) for id_ in os.environ["IDS"].split(",")])])
    return [
        {
            "customer": milestone.order_id.milestone_invoice_schedule == "weekly" and milestone.partner_id.id,
            "invoices": milestone.invoice_line_ids.move_id.ids,
            "states": milestone.invoice_line_ids.move_id.mapped("state"),
            "billing_state": milestone.billing_state,
            "planned": milestone.amount_untaxed,
            "billed": sum(milestone.invoice_line_ids.mapped("price_subtotal")),
            "error": milestone.invoice_error,
        }
        for milestone in milestones
    ]
