"""Figures of the invoice queue beside native Odoo, in one run on one machine.

``make bench`` calls :func:`run` in a fresh database.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contracts import approve, find_milestones, make_contracts, make_native_orders, submit
from benchmarks.measure import measured, quantile
from benchmarks.portal import run as run_portal

SINGLE = 20
BATCH = 200
TURNS = 3


def run(env):
    """Measure and print; return the figures by name."""
    warm_up(env)
    return {**bench_single(env), **bench_batch(env), **run_portal()}


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
    show("One at a time", native, ours, SINGLE)
    return {"single_ratio": ratio(ours, native), "single_p95": p95(ours), "native_p95": p95(native)}


def bench_batch(env):
    """Measure batches in turn, native and ours, so that what else the machine does falls on both."""
    native, ours = [], []
    for _turn in range(TURNS):
        orders = make_native_orders(env, BATCH)
        milestones = find_milestones(env, make_contracts(env, BATCH))
        submit(milestones)
        approve(milestones)
        with measured(env) as figure:
            orders._create_invoices(grouped=True).action_post()
        native.append(figure)
        with measured(env) as figure:
            milestones._process_invoice_queue()
        ours.append(figure)
    show(f"{BATCH} in a batch ({TURNS} times)", native, ours, BATCH * TURNS)
    return {"batch_ratio": ratio(ours, native)}


def ratio(ours, native):
    return sum(figure.seconds for figure in ours) / sum(figure.seconds for figure in native)


def p95(figures):
    return quantile([figure.seconds for figure in figures], 0.95)


def show(title, native, ours, count):
    print(f"\n{title}: approved milestone to posted invoice, beside native create and post")
    for label, figures in (("native", native), ("milestones", ours)):
        seconds = sum(figure.seconds for figure in figures) / count
        queries = sum(figure.queries for figure in figures) / count
        print(f"  {label:<11} {seconds * 1000:8.1f} ms  {queries:6.1f} queries per invoice")
    queries = sum(figure.queries for figure in ours) / sum(figure.queries for figure in native)
    print(f"  ratio       {ratio(ours, native):8.2f} x    {queries:6.2f} x")
