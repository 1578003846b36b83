"""Contracts drawn at random: currencies, rounding, taxes, lines, ways of planning and terms."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from odoo.fields import Command

CURRENCIES = ("own", "EUR", "JPY", "KWD")
PRICES = (0.1, 0.335, 33.33, 100.0, 999.99, 12345.67)
PLANS = ((100,), (50, 50), (12.5, 33.3333, 54.1667), (30, 30, 40), (25, 25, 25, 25))


@dataclass(frozen=True)
class Line:
    """An order line: price in the order's currency, discount 0-100, tax an index into the tax sets."""

    price: float
    quantity: float
    discount: float
    tax: int
    is_free: bool


@dataclass(frozen=True)
class Terms:
    """What the parties agree on; the plan in percent."""

    currency: str
    rounding: str
    policy: str
    grouping: str
    is_split: bool
    plan: tuple
    lines: tuple
    advance: float
    recovery: str
    retention: float
    retention_base: str
    retention_cap: float
    cap: float


def terms():
    """Return the strategy that draws the terms of a contract."""
    line = st.builds(
        Line,
        price=st.sampled_from(PRICES),
        quantity=st.sampled_from([1.0, 2.0, 3.0]),
        discount=st.sampled_from([0.0, 0.0, 7.5]),
        tax=st.integers(0, 4),
        is_free=st.sampled_from([False, False, False, True]),
    )
    return st.builds(
        Terms,
        currency=st.sampled_from(CURRENCIES),
        rounding=st.sampled_from(["round_globally", "round_per_line"]),
        policy=st.sampled_from(["draft", "post", "manual"]),
        grouping=st.sampled_from(["milestone", "order", "customer"]),
        is_split=st.booleans(),
        plan=st.sampled_from(PLANS),
        lines=st.lists(line, min_size=1, max_size=3).map(tuple).filter(has_planned_line),
        advance=st.sampled_from([0.0, 20.0, 33.0]),
        recovery=st.sampled_from(["pro_rata", "first_in"]),
        retention=st.sampled_from([0.0, 5.0, 10.0]),
        retention_base=st.sampled_from(["untaxed", "total"]),
        retention_cap=st.sampled_from([0.0, 4.0]),
        cap=st.sampled_from([0.0, 0.0, 0.0, 1.0, 1.3]),
    )


def has_planned_line(lines):
    return not all(line.is_free for line in lines)


def alike(terms, other):
    """Return the terms of two contracts of one client whose milestones come on one invoice."""
    terms = replace(terms, grouping="customer", cap=0.0)  # a cap of one would hold up both
    common = {name: getattr(terms, name) for name in ("currency", "rounding", "policy", "grouping", "cap")}
    return terms, replace(other, **common)


def make_contract(case, terms):
    """Make a quotation and put its lines under milestones, divided or whole.

    :return: the quotation, and its amounts as they were before the plan
    """
    case.company.write(
        {"tax_calculation_rounding_method": terms.rounding, "milestone_invoice_grouping": terms.grouping}
    )
    currency = prepare_currency(case, terms.currency)
    order = case._create_contract(
        [],
        confirm=False,
        lines=[prepare_line(case, line, currency) for line in terms.lines],
        milestone_invoice_policy=terms.policy,
        currency=currency,
        **prepare_money_terms(case, terms),
    )
    divided = order.order_line.browse(
        [line.id for line, drawn in zip(order.order_line, terms.lines, strict=True) if not drawn.is_free]
    )
    quoted = {name: order[name] for name in ("amount_untaxed", "amount_tax", "amount_total")}
    quoted |= case._order_tax_amounts(order)
    order.milestone_cap_amount = currency.round(terms.cap * order.amount_untaxed)
    if terms.is_split and can_divide(divided, len(terms.plan)):
        order._split_into_milestones(list(terms.plan), lines=divided)
    else:
        for number, line in enumerate(divided, 1):
            line.billing_milestone_id = case.env["sale.milestone"].create(
                {"order_id": order.id, "name": f"Part {number}", "sequence": number}
            )
    for milestone in order.milestone_ids:
        milestone.deliverable_ids = [Command.create({"name": "Work"})]
    return order, quoted


def prepare_money_terms(case, terms):
    values = {}
    if terms.advance:
        values.update(
            milestone_advance_type="percentage",
            milestone_advance_percentage=terms.advance,
            milestone_advance_recovery=terms.recovery,
            milestone_advance_policy="manual",
        )
    if terms.retention:
        if not case.company.milestone_retention_account_id:
            case.company._create_retention_account()
        values.update(
            milestone_retention_percentage=terms.retention,
            milestone_retention_base=terms.retention_base,
            milestone_retention_cap=terms.retention_cap,
        )
    return values


def can_divide(lines, count):
    """Whether every share of every line is worth something; smaller lines are refused, and that is tested elsewhere."""
    return all(line.price_subtotal >= 20 * count * line.currency_id.rounding for line in lines)


def prepare_line(case, line, currency):
    tax_sets = [
        case.tax_15,
        case.tax_10 + case.tax_20,
        case.tax_15_included,
        case.env["account.tax"],
        case.tax_20 + case.tax_withheld,
    ]
    return {
        "product_id": case.milestone_product.id,
        # a milestone is worth something, in yen too
        "price_unit": max(line.price, currency.rounding),
        "technical_price_unit": 0.0,
        "product_uom_qty": line.quantity,
        "discount": line.discount,
        "tax_ids": [Command.set(tax_sets[line.tax].ids)],
    }


def prepare_currency(case, name):
    if name == "own":
        return case.company.currency_id
    currency = case.env["res.currency"].with_context(active_test=False).search([("name", "=", name)])
    currency.active = True
    set_rate(currency, case.company, 1.7)
    return currency


def set_rate(currency, company, rate):
    """From today on, one unit of the company's currency is ``rate`` of ``currency``."""
    currency.rate_ids.filtered(lambda known: known.company_id == company).unlink()
    currency.env["res.currency.rate"].create(
        {"currency_id": currency.id, "company_id": company.id, "name": "2020-01-01", "rate": rate}
    )
