"""Figures of the invoice queue beside native Odoo, in one run on one machine.

``make bench`` calls :func:`run` in a fresh database.
"""

import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contracts import (
    approve,
    find_milestones,
    make_contracts,
    make_native_orders,
    make_native_sections,
    make_partner,
    submit,
)
from benchmarks.measure import measured, quantile
from benchmarks.plan import run as run_plan
from benchmarks.portal import run as run_portal

SINGLE = 20
# Milestones of a batch, and how often native and ours take turns.
BATCHES = ((200, 3), (500, 5))
# One invoice for a customer: orders, and milestones of each.
CONSOLIDATED, CONSOLIDATED_TURNS = (25, 20), 2
# What must not be exceeded; of the others there is no agreed limit.
LIMITS = {
    "single_p95_ratio": 2.0,
    "batch_500_ratio": 1.15,
    "batch_500_queries": 1.15,
    "plan_seconds": 15.0,
    "plan_growth": 1.5,
    "page_ratio": 2.0,
}


def run(env):
    """Measure and print; return the figures by name."""
    show_load()
    warm_up(env)
    figures = run_plan(env) | bench_single(env)
    for count, turns in BATCHES:
        figures |= bench_batch(env, count, turns)
    figures |= bench_consolidated(env, *CONSOLIDATED, CONSOLIDATED_TURNS)
    figures |= run_portal()
    show_load()
    show_limits(figures)
    return figures


def warm_up(env):
    """Fill registries, caches and query plans on both sides."""
    make_native_orders(env, 2)._create_invoices(grouped=True).action_post()
    milestones = find_milestones(env, make_contracts(env, 2))
    submit(milestones)
    approve(milestones)
    milestones._process_invoice_queue()


def bench_single(env):
    native, ours = [], []
    orders = make_native_orders(env, SINGLE)
    milestones = find_milestones(env, make_contracts(env, SINGLE))
    submit(milestones)
    approve(milestones)
    for order, milestone in zip(orders, milestones, strict=True):
        with measured(env) as figure:
            order._create_invoices().action_post()
        native.append(figure)
        with measured(env) as figure:
            milestone._process_invoice_queue()
        ours.append(figure)
    show(f"One at a time ({SINGLE} times, median)", native, ours, 1)
    p95 = [quantile([figure.seconds for figure in side], 0.95) for side in (ours, native)]
    print(f"  p95         {p95[0] / p95[1]:8.2f} x  ({p95[0] * 1000:.0f} ms beside {p95[1] * 1000:.0f} ms)")
    return {"single_ratio": ratio(ours, native), "single_p95_ratio": p95[0] / p95[1]}


def bench_batch(env, count, turns):
    native, ours = [], []
    for turn in range(turns):
        orders = make_native_orders(env, count)
        milestones = find_milestones(env, make_contracts(env, count))
        submit(milestones)
        approve(milestones)
        jobs = [
            (native, lambda orders=orders: orders._create_invoices(grouped=True).action_post()),
            (ours, milestones._process_invoice_queue),
        ]
        take_turns(env, jobs, turn)
        if len(milestones.invoice_line_ids.move_id) != count or set(milestones.mapped("billing_state")) != {"invoiced"}:
            raise AssertionError("Not every milestone was invoiced.")
    show(f"{count} in a batch (median of {turns})", native, ours, count)
    return {f"batch_{count}_ratio": ratio(ours, native), f"batch_{count}_queries": query_ratio(ours, native)}


def bench_consolidated(env, orders, milestones, turns):
    """Measure one invoice for all orders of a customer, beside a native one of the same sections and lines."""
    native, ours = [], []
    for turn in range(turns):
        partner = make_partner(env, 0)
        native_orders = make_native_sections(env, partner, orders, milestones)
        contracts = make_contracts(env, orders, milestones, partner=partner, milestone_invoice_schedule="weekly")
        approved = find_milestones(env, contracts)
        submit(approved)
        approve(approved)
        jobs = [
            (native, lambda orders=native_orders: orders._create_invoices(grouped=False).action_post()),
            (ours, approved._process_invoice_queue),
        ]
        take_turns(env, jobs, turn)
        if len(contracts.invoice_ids) != 1 or len(native_orders.invoice_ids) != 1:
            raise AssertionError("The orders of a customer were not billed together.")
    count = orders * milestones
    show(f"{count} on one invoice, of {orders} orders (median of {turns})", native, ours, count)
    return {"consolidated_ratio": ratio(ours, native), "consolidated_queries": query_ratio(ours, native)}


def take_turns(env, jobs, turn):
    """Measure the jobs, each time in another order: what else the machine does shall fall on both."""
    for figures, job in jobs if turn % 2 == 0 else reversed(jobs):
        with measured(env) as figure:
            job()
        figures.append(figure)


def ratio(ours, native):
    """Return how much longer ours takes: the median of the turns, for both sides of a turn met the same machine."""
    return statistics.median(figure.seconds / beside.seconds for figure, beside in zip(ours, native, strict=True))


def query_ratio(ours, native):
    return min(figure.queries for figure in ours) / min(figure.queries for figure in native)


def show(title, native, ours, count):
    print(f"\n{title}: approved milestone to posted invoice, beside native create and post")
    for label, figures in (("native", native), ("milestones", ours)):
        seconds = statistics.median(figure.seconds for figure in figures) / count
        queries = min(figure.queries for figure in figures) / count
        print(f"  {label:<11} {seconds * 1000:8.1f} ms  {queries:6.1f} queries per milestone")
    print(f"  ratio       {ratio(ours, native):8.2f} x    {query_ratio(ours, native):6.2f} x", flush=True)


def show_load():
    """Other programs disturb the figures: say how many there are."""
    print(f"\nLoad of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)


def show_limits(figures):
    print("\nLimits")
    for name, limit in LIMITS.items():
        verdict = "kept" if figures[name] <= limit else "EXCEEDED"
        print(f"  {name:<20} {figures[name]:7.2f}  at most {limit:5.2f}  {verdict}")
