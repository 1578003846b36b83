"""Figures of the client's pages, over HTTP, on a server of its own."""

import re
import time

from benchmarks.measure import quantile
from tests.contracts import Client, has_won, make_contract
from tests.server import SystemServer

APPROVALS = 40
OPENINGS = 20
# `... "GET /my/milestones/7?... HTTP/1.1" 200 - 57 0.035 0.060`: queries, their seconds, the other seconds
LOG_LINE = r'"{method} {path}[? ][^"]*" \d+ - (?P<queries>\d+) (?P<sql>[\d.]+) (?P<rest>[\d.]+)'
NATIVE_PAGE = """
    order = env["sale.order"].create({
        "partner_id": env["res.partner"].create({"name": "Client", "email": "client@example.com"}).id,
        "order_line": [(0, 0, {"product_id": env.company._get_milestone_product().id, "price_unit": 1000.0})],
    })
    return order.get_portal_url()
"""


def run():
    """Measure and print; return the figures by name."""
    with SystemServer("bench", workers=2) as server:
        return {**bench_approvals(server), **bench_pages(server)}


def bench_approvals(server):
    """Time the request that carries the client's approval, one after the other."""
    clients = [Client(server, make_contract(server)["milestones"][0]) for _number in range(4)]
    contract = make_contract(server, milestones=APPROVALS)
    clients += [Client(server, milestone) for milestone in contract["milestones"]]
    seconds = []
    for client in clients:
        client.open_page()
        start = time.perf_counter()
        response = client.approve()
        seconds.append(time.perf_counter() - start)
        if not has_won(response):
            raise AssertionError(f"An approval was refused: {response.text[:500]}")
    seconds = seconds[4:]  # the first ones warm the workers up
    p50, p95 = quantile(seconds, 0.5), quantile(seconds, 0.95)
    print(f"\nThe client's approval request over HTTP ({len(seconds)} in turn)")
    print(f"  p50 {p50 * 1000:6.0f} ms   p95 {p95 * 1000:6.0f} ms")
    return {"approval_p50": p50, "approval_p95": p95}


def bench_pages(server):
    """Count queries and time the milestone's page in a contract of 10 and of 200, beside the native quotation."""
    print(f"\nPortal page, {OPENINGS} openings by a client without an account")
    native = open_often(server, server.visitor(), server.shell(NATIVE_PAGE))
    show("native quotation", native)
    figures = {}
    for count in (10, 200):
        milestone = make_contract(server, milestones=count)["milestones"][0]
        client = Client(server, milestone)
        figures[count] = open_often(server, client.session, f"{client.path}?{client.query}")
        show(f"1 of {count} milestones", figures[count])
    ratio = figures[200]["p95"] / native["p95"]
    print(f"  p95 ratio to native {ratio:.2f} x; queries equal: {figures[10]['queries'] == figures[200]['queries']}")
    return {"page_queries_10": figures[10]["queries"], "page_queries_200": figures[200]["queries"], "page_ratio": ratio}


def open_often(server, session, path):
    """Return the queries of the last opening and the p95 of all (seconds)."""
    seconds = []
    for _opening in range(OPENINGS + 4):
        start = time.perf_counter()
        session.get(path).raise_for_status()
        seconds.append(time.perf_counter() - start)
    pattern = LOG_LINE.format(method="GET", path=re.escape(path.partition("?")[0]))
    found = re.findall(pattern, server.log.read_text(errors="replace"))
    return {"queries": int(found[-1][0]), "p95": quantile(seconds[4:], 0.95)}


def show(label, figures):
    print(f"  {label:<22} {figures['queries']:4d} queries   p95 {figures['p95'] * 1000:6.0f} ms")
