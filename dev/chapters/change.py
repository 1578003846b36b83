"""The client changes its mind after the signature: raised, priced, presented, approved and applied."""

from datetime import timedelta

from odoo.fields import Command

from dev.chapters.words import check, check_unbroken, price, say, tell_fact

WISH = {
    "title": "Orders by phone",
    "category": "scope",
    "urgency": "normal",
    "reason": "A third of our customers order by phone; the prototype has to show that as well.",
    "description": "The person on the phone sees the last five orders of the customer.",
}
EXTRA = 4500.00  # untaxed
EXTRA_DAYS = 7
EXTRA_HOURS = 40.0
FIRST_YEAR = {
    "title": "Support in the first year",
    "category": "scope",
    "reason": "Somebody answers questions of the departments after the launch.",
    "effort_hours": 60.0,
}


def ask_for_change(client_user, order):
    """What the form of the portal sends."""
    request = (
        order.with_user(client_user)
        .env["sale.change.request"]
        ._raise_by_client(
            order.sudo(), {**WISH, "milestone": order.sudo().milestone_ids[1]}, partner=client_user.partner_id
        )
    )
    order.env.cr.commit()
    say(f"{client_user.name} raises change request {request.name}: {request.title}.")
    tell_fact(f"“{request.reason}”")
    tell_fact(f"To be estimated by {', '.join(request.activity_ids.user_id.mapped('name'))}; nothing is changed yet.")
    return request


def estimate(env, request):
    """Say what the change costs and when it is done, and present it to the client."""
    request = env["sale.change.request"].browse(request.id)
    line, later = request.line_ids, request.order_id.milestone_ids[2:]
    request.write({"effort_hours": EXTRA_HOURS, "resources": "Somebody who takes orders by phone, for two days."})
    line.write(
        {
            "amount": EXTRA,
            "new_date": line.milestone_id.contract_date + timedelta(days=EXTRA_DAYS),
            "deliverable_ids": [
                Command.create(
                    {
                        "action": "add",
                        "name": "Prototype of orders by phone",
                        "acceptance_criteria": "Three orders are taken by phone without a pen.",
                    }
                )
            ],
        }
    )
    request.line_ids = [
        Command.create(
            {
                "action": "change",
                "milestone_id": milestone.id,
                "new_date": milestone.contract_date + timedelta(days=EXTRA_DAYS),
            }
        )
        for milestone in later
    ]
    request.action_submit()
    say(f"{env.user.name} prices {request.name} and presents it: {request.effort_hours:g} hours of work.")
    impact = request._get_impact()
    for sentences in impact["lines"]:
        tell_fact("; ".join(sentences))
    with_taxes = price(float(impact["total"]), request)
    tell_fact(f"{price(float(impact['this_change']), request)} untaxed, {with_taxes} with taxes")
    tell_fact(f"The contract becomes {price(float(impact['revised']), request)} untaxed.")
    tell_fact(f"It ends {impact['days']} days later, on {impact['end_after']}.")
    return request


def tell_application(env, request):
    """What the approval did to the contract, in the same moment."""
    request = env["sale.change.request"].browse(request.id)
    order = request.order_id
    check(order, request.amount_delta, EXTRA, "What was priced is what was applied")
    check(
        order,
        order.milestone_original_amount + order.milestone_changes_amount,
        order.amount_untaxed,
        "Original and changes are the contract",
    )
    check_unbroken(order._verify_signed_contract())
    say(f"{request.name} is applied with the approval: change order {request.change_order_number} of {order.name}.")
    tell_fact(
        f"Original {price(order.milestone_original_amount, order)} + changes "
        f"{price(order.milestone_changes_amount, order)} = {price(order.milestone_revised_amount, order)}"
    )
    tell_fact(order.action_verify_contract()["params"]["message"])


def offer_more(env, order):
    """Propose a change of the company's own, which waits for the client."""
    order = env["sale.order"].browse(order.id)
    last = order.milestone_ids[-1]
    milestone = {
        "action": "add",
        "new_name": "Support",
        "amount": 7500.00,
        "new_date": last.contract_date + timedelta(weeks=52),
        "after_id": last.id,
        "deliverable_ids": [
            Command.create({"name": "Report on the first year", "acceptance_criteria": "Each question is answered."})
        ],
    }
    request = env["sale.change.request"].create(
        {**FIRST_YEAR, "order_id": order.id, "line_ids": [Command.create(milestone)]}
    )
    request.action_submit()
    return request
