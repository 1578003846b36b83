"""Figures of dividing an order into milestones."""

from odoo.fields import Command

from benchmarks.contracts import make_partner
from benchmarks.measure import measured

LINES = 10
SIZES = (10, 100, 1000)


def make_quotation(env, lines=LINES):
    """Return a quotation of service lines that are not divided yet."""
    product = env.company._get_milestone_product()
    return env["sale.order"].create(
        {
            "partner_id": make_partner(env, 1).id,
            "milestone_create_project": False,
            "order_line": [
                Command.create({"product_id": product.id, "price_unit": 123_456.78 + 1000 * number})
                for number in range(lines)
            ],
        }
    )


def run(env):
    """Measure and print; return seconds of the largest plan, and how much dearer its milestones are."""
    make_quotation(env)._split_into_milestones([50, 50])  # fills caches and registries
    seconds = {}
    print(f"\nA quotation of {LINES} lines divided into milestones")
    for size in SIZES:
        order = make_quotation(env)
        with measured(env) as figure:
            order._split_into_milestones([100 / size] * size)
        seconds[size] = figure.seconds
        print(
            f"  {size:5} milestones {figure.seconds:7.2f} s  {1000 * figure.seconds / size:6.1f} ms"
            f" and {figure.queries / size:.1f} queries each"
        )
    each = {size: seconds[size] / size for size in SIZES}
    # beside the cheapest: what a plan costs however small it is makes the smallest one dear
    return {"plan_seconds": seconds[SIZES[-1]], "plan_growth": each[SIZES[-1]] / min(each.values())}
