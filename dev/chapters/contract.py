"""From the first talk to the signed contract: requirements, plan, proposal, negotiation, signatures."""

from datetime import timedelta

from odoo import fields
from odoo.fields import Command

from dev.chapters.people import TEMPLATE
from dev.chapters.words import check, check_unbroken, draw_signature, money, price, say, tell_fact

PRICE = 100000.00  # untaxed
TERMS = {
    "require_payment": False,  # the advance is invoiced
    "milestone_countersign": True,
    "milestone_advance_type": "percentage",
    "milestone_advance_percentage": 20.0,
    "milestone_advance_policy": "automatic",
    "milestone_retention_percentage": 5.0,
    "milestone_retention_trigger": "milestone",
    "milestone_retention_days": 30,
}
REQUIREMENTS = [
    # statement, priority, deliverable that meets it
    ("Every department says what it needs.", "must", "Concept paper"),
    ("An order is entered in less than a minute.", "must", "Clickable prototype"),
    ("All departments work with the same data.", "must", "Running system"),
    ("Reports can be read on a phone.", "wont", None),
]
WISH = "Can you train our staff as well? And 15 % in advance would suit us better than 20 %."
TRAINING = {
    "name": "Training",
    "amount_untaxed": 6000.00,
    "deliverable_ids": [
        Command.create({"name": "Two days of training", "acceptance_criteria": "Held for up to twelve people."})
    ],
}
TRAINING_WEEKS = 2  # after what came last


def plan(env, client):
    """Write a quotation of one line and divide it with the plan wizard, as its dialog does."""
    from odoo.tests import Form

    product = env.ref("milestone_billing.product_milestone")
    line = {"product_id": product.id, "name": TEMPLATE, "price_unit": PRICE}
    order = env["sale.order"].create(
        {"partner_id": client.id, "client_order_ref": TEMPLATE, "order_line": [Command.create(line)]}
    )
    untaxed, total = order.amount_untaxed, order.amount_total
    wizard = env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"])
    with Form(wizard) as dialog:
        dialog.method = "template"
        dialog.template_id = env["sale.milestone.template"].search([("name", "=", TEMPLATE)], limit=1)
    wizard.action_apply()
    say(f"The salesperson plans quotation {order.name} from the template {TEMPLATE}, in one dialog.")
    for milestone in order.milestone_ids:
        due, amount = milestone.contract_date, money(milestone.amount_untaxed, order)
        tell_fact(f"{milestone.name:<10} {amount}  {milestone.percentage:7.4f} %  until {due}")
    tell_fact(f"{'Total':<10} {money(untaxed, order)}  with taxes {price(total, order)}")
    planned = order.milestone_ids
    check(order, sum(planned.mapped("amount_untaxed")), untaxed, "The milestones are the order, untaxed")
    check(order, sum(planned.mapped("amount_total")), total, "The milestones are the order, with taxes")
    return order


def write_requirements(order):
    """Write down what the client needs, and which deliverable meets it."""
    deliverables = {known.name: known for known in order.milestone_ids.deliverable_ids}
    order.env["sale.requirement"].create(
        [
            {
                "order_id": order.id,
                "statement": statement,
                "priority": priority,
                "deliverable_ids": [Command.set(deliverables[name].ids if name else [])],
            }
            for statement, priority, name in REQUIREMENTS
        ]
    )
    requirements = order.requirement_ids.sorted("sequence")
    if missing := order._get_uncovered_musts():
        raise AssertionError(f"No deliverable meets {', '.join(missing.mapped('name'))}.")
    say(f"{len(requirements)} requirements of the client are written down, each with what meets it.")
    states = dict(requirements._fields["state"]._description_selection(order.env))
    for requirement in requirements:
        met_by = ", ".join(requirement.deliverable_ids.mapped("name")) or "–"
        tell_fact(f"{requirement.name}  {requirement.statement:<44} {states[requirement.state]:<13} {met_by}")


def agree(order):
    order.write(TERMS)
    say(f"Offered with it: an advance of {order.milestone_advance_percentage:g} %, deducted from each invoice.")
    tell_fact(" ".join(order._get_retention_sentences()))


def propose(order):
    """Send the proposal by e-mail, as the dialog does; what is sent is kept as a revision."""
    action = order.action_quotation_send()
    dialog = order.env["mail.compose.message"].with_context(**action["context"], mail_notify_force_send=False)
    dialog.create({}).action_send_mail()
    order.env.cr.commit()
    revision = order._get_last_revision()
    if not revision.document_id or not order._get_current_revision():
        raise AssertionError("What was sent is not kept.")
    say(f"The proposal goes to {order.partner_id.email}: revision {revision.number}, {money_of(order)}.")
    tell_fact(f"Kept as it was sent: {revision.document_name}, {revision.snapshot_hash[:16]}…")
    return revision


def money_of(order):
    return price(order.amount_untaxed, order)


def negotiate(order, client_user):
    """The client asks for modifications: what the portal's form sends."""
    asked = order.with_user(client_user).sudo()
    asked._ask_for_modifications(WISH, client_user.partner_id)
    say(f"{client_user.name} does not sign yet: “{WISH}”")
    activity = order.activity_ids.filtered(lambda activity: activity.user_id == order.user_id)
    if not order.milestone_negotiation or not activity:
        raise AssertionError("Nobody was told what the client asks for.")
    tell_fact(f"{order.name} is in negotiation; {activity.user_id.name} has to do: {activity.summary}.")


def revise(order):
    """Change the quotation as the client asked, send it again, and say what changed."""
    last = order.milestone_ids[-1]
    date = last.contract_date + timedelta(weeks=TRAINING_WEEKS)
    order.env["sale.milestone"].create(
        {
            **TRAINING,
            "order_id": order.id,
            "sequence": last.sequence + 1,
            "contract_date": date,
            "predecessor_ids": [Command.set(last.ids)],
        }
    )
    order.milestone_advance_percentage = 15.0
    if order._has_to_be_signed():
        raise AssertionError("Nobody signs what is being revised.")
    before, after = order._get_last_revision(), propose(order)
    changes = after._describe_changes(before)
    tell_fact(f"What changed since revision {before.number}:")
    for change in changes:
        values = " → ".join(filter(None, (change["before"], change["after"])))
        tell_fact(f"  {change['kind']:<8} {change['what']}: {values}" if values else f"  {change['what']}")
    if not changes or order.milestone_negotiation:
        raise AssertionError("The new revision does not answer the client.")


def sign(order, client_user):
    """The client signs: what the portal's signature does."""
    signed = order.with_user(client_user).sudo()
    if not signed._has_to_be_signed():
        raise AssertionError(f"{order.name} cannot be signed.")
    signed.write({"signed_by": client_user.name, "signed_on": fields.Datetime.now(), "signature": draw_signature()})
    signed._validate_order()
    order.env.cr.commit()
    say(f"The client signs revision {order._get_last_revision().number} in the portal.")
    tell_fact(f"What was signed: {order.signed_content_hash[:16]}…")
    tell_fact(f"{order._get_signature_obstacle()}")
    if order.state != "sent" or not order.milestone_to_countersign:
        raise AssertionError("One signature is not enough.")


def countersign(env, order):
    """The company signs, in the dialog of those who have the right to."""
    order = env["sale.order"].browse(order.id)
    action = order.action_countersign()
    dialog = env[action["res_model"]].with_context(**action["context"])
    dialog.create({"signature": draw_signature()}).action_confirm()
    env.cr.commit()
    if order.state != "sale":
        raise AssertionError("Both have signed, and the contract is not confirmed.")
    say(f"{order.countersigned_by.name} countersigns for {order.company_id.name}; {order.name} is confirmed.")
    tell_fact(f"Contract {order.milestone_contract_hash[:16]}…, of revision {order.agreed_revision_id.number}")


def keep_contract(env, order):
    """Make the signed contract, as the job does after the confirmation, and compare it with the order."""
    order = env["sale.order"].browse(order.id)
    order._process_signed_document()
    env.cr.commit()
    if not order.signed_document_id:
        raise AssertionError(order.signed_document_error)
    say("The signed contract is made, kept, and sent to both sides.")
    tell_fact(f"{order.signed_document_id.name}, SHA-256 {order.signed_document_hash[:16]}…")
    check_unbroken(order._verify_signed_contract())
    tell_fact(order.action_verify_contract()["params"]["message"])
