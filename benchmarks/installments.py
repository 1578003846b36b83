"""Twelve equal installments of the same orders: by our plan, and by the plan of another addon.

Both are used the way their users do: through their wizards. `run_ours` and `run_theirs` run in
databases of their own, since each addon changes how Odoo makes invoices.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from odoo import fields
from odoo.fields import Command

from benchmarks.contracts import approve, find_milestones, make_partner, submit
from benchmarks.measure import measured

INSTALLMENTS = 12
# Quantity, unit price, discount and taxes (percent) of the lines of each order.
ORDERS = {
    "1 x 10,000.00": [(1, 10_000.00, 0, (15,))],
    "1 x 99,999.99, 2 taxes": [(1, 99_999.99, 0, (15, 5.5))],
    "12 x 833.33": [(12, 833.33, 0, (15,))],
    "3 lines, 3 taxes": [(3, 3_333.33, 0, (15,)), (7, 142.85, 5, (5.5,)), (100, 19.99, 0, (20,))],
    "10 lines of cents": [(number, 101.01 + number * 7.77, 0, (15, 20)) for number in range(1, 11)],
}


def run_ours(env):
    """Return the figures of the orders; the clients' approvals between plan and invoices are not timed."""
    make_figures(env, list(ORDERS.items())[:1], plan_ours, bill_ours)  # fills caches
    return make_figures(env, ORDERS.items(), plan_ours, bill_ours)


def run_theirs(env):
    make_figures(env, list(ORDERS.items())[:1], plan_theirs, bill_theirs)
    return make_figures(env, ORDERS.items(), plan_theirs, bill_theirs)


# -- ours ----------------------------------------------------------------------------------------------


def plan_ours(order):
    planner = order.env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"])
    planner.write({"method": "schedule", "milestone_count": INSTALLMENTS, "unit": "month"})
    planner._onchange_settings()
    planner.action_apply()


def bill_ours(order):
    """Confirm and let the client approve all; return what is timed."""
    order.action_confirm()
    milestones = find_milestones(order.env, order)
    for milestone in milestones:
        milestone.deliverable_ids = [Command.create({"name": "Report", "url": "https://example.com/report"})]
    submit(milestones)
    approve(milestones)
    return milestones._process_invoice_queue


# -- theirs --------------------------------------------------------------------------------------------


def plan_theirs(order):
    order.use_invoice_plan = True
    wizard = order.env["sale.create.invoice.plan"].create({"num_installment": INSTALLMENTS})
    wizard.with_context(active_id=order.id).sale_create_invoice_plan()


def bill_theirs(order):
    order.action_confirm()

    def bill():
        context = {"active_id": order.id, "active_ids": order.ids, "active_model": "sale.order"}
        context["all_remain_invoices"] = True
        order.env["sale.make.planned.invoice"].with_context(**context).create({}).create_invoices_by_plan()
        order.invoice_ids.action_post()

    return bill


# -- both ----------------------------------------------------------------------------------------------


def make_figures(env, orders, plan, bill):
    """Return figures by order; where a plan or its invoices cannot be made, the error."""
    return {name: make_figure(env, lines, plan, bill) for name, lines in orders}


def make_figure(env, lines, plan, bill):
    order = make_order(env, lines)
    agreed = get_amounts(order)
    try:
        with env.cr.savepoint():
            with measured(env) as planning:
                plan(order)
            prepared = bill(order)
            with measured(env) as billing:
                prepared()
            return {
                "plan": planning.seconds,
                "invoices": billing.seconds,
                "count": len(order.invoice_ids),
                **compare(agreed, order.invoice_ids),
            }
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def make_order(env, lines):
    product = env["product.product"].search([("default_code", "=", "BENCH")]) or env["product.product"].create(
        {"name": "Service", "default_code": "BENCH", "type": "service", "invoice_policy": "order"}
    )
    return env["sale.order"].create(
        {
            "partner_id": make_partner(env, 1).id,
            "date_order": fields.Datetime.now(),
            "order_line": [
                Command.create(
                    {
                        "product_id": product.id,
                        "product_uom_qty": quantity,
                        "price_unit": price,
                        "discount": discount,
                        "tax_ids": [Command.set([get_tax(env, percent).id for percent in taxes])],
                    }
                )
                for quantity, price, discount, taxes in lines
            ],
        }
    )


def get_tax(env, percent):
    name = f"Benchmark {percent} %"
    domain = [("name", "=", name), ("company_id", "=", env.company.id)]
    return env["account.tax"].search(domain, limit=1) or env["account.tax"].create(
        {"name": name, "amount": percent, "type_tax_use": "sale", "price_include_override": "tax_excluded"}
    )


def get_amounts(record):
    return {name: record[name] for name in ("amount_untaxed", "amount_tax", "amount_total")}


def compare(agreed, invoices):
    """Return, in cents, how far the invoices' sums are from the order, and an invoice from its twelfth."""
    sums = {
        f"off_{name.removeprefix('amount_')}": cents(sum(invoices.mapped(name)) - amount)
        for name, amount in agreed.items()
    }
    share = agreed["amount_untaxed"] / INSTALLMENTS
    apart = max((abs(invoice.amount_untaxed - share) for invoice in invoices), default=0.0)
    return {**sums, "apart": cents(apart)}


def cents(amount):
    return round(amount * 100)
