"""The story that `make demo` tells: the main job, played once on a fresh database.

`tell(env)` plans a contract from a template, has it signed, its advance invoiced, delivered,
reviewed, approved, invoiced and paid, each step as the user whose step it is, and prints what
happened with the figures of the database. It returns the logins and the pages worth opening.
"""

import base64
import io

from odoo import fields
from odoo.fields import Command

COMPANY_SIDE = [
    # role, login, groups
    ("Salesperson", "salesperson", ["sales_team.group_sale_salesman_all_leads"]),
    ("Project manager", "manager", ["project.group_project_manager", "milestone_billing.group_internal_reviewer"]),
    ("Accountant", "accountant", ["account.group_account_manager", "account.group_account_user"]),
]
PRICE = 100000.00  # untaxed
TEMPLATE = "Software roll-out"
PLAN = [
    # name, share in percent, weeks after the one before, deliverable, acceptance criteria
    ("Concept", 12.5, 2, "Concept paper", "Covers every department; agreed in a workshop."),
    ("Prototype", 100 / 3, 4, "Clickable prototype", "The three main tasks can be done from end to end."),
    ("Launch", 87.5 - 100 / 3, 7, "Running system", "In use by all departments for five working days."),
]
TERMS = {
    "milestone_advance_type": "percentage",
    "milestone_advance_percentage": 20.0,
    "milestone_advance_policy": "automatic",
    "milestone_retention_percentage": 5.0,
    "milestone_retention_trigger": "milestone",
    "milestone_retention_days": 30,
}


def tell(env):
    """Print the story; return {'logins': [[role, login, password]], 'pages': [[what, path]]}."""
    users = make_users(env)
    client_user = make_client(env)
    prepare(env)
    order = plan(env(user=users["Salesperson"]), client_user.partner_id)
    agree(order)
    sign(order)
    pay(env(user=users["Accountant"]), bill_advance(env, order))
    milestone = deliver(env(user=users["Project manager"]), order)
    approve(env, milestone, client_user.partner_id)
    invoice = bill(env, milestone)
    begin_next(env, order)
    pay(env(user=users["Accountant"]), invoice)
    keep_accounts(env, order)
    reconcile(env, order, invoice)
    submit_next(env(user=users["Project manager"]), order)
    env.cr.commit()
    return {
        "logins": [[role, user.login, user.login] for role, user in users.items()]
        + [["Client", client_user.login, client_user.login], ["Administrator", "admin", "admin"]],
        "pages": [
            ["Milestones", "/odoo/action-milestone_billing.sale_milestone_action"],
            ["The contract", f"/odoo/sales/{order.id}"],
            ["The client's portal", "/my/milestones"],
        ],
    }


def make_users(env):
    users = {}
    for role, login, groups in COMPANY_SIDE:
        users[role] = env["res.users"].search([("login", "=", login)]) or env["res.users"].create(
            {
                "name": role,
                "login": login,
                "password": login,
                "email": f"{login}@example.com",
                "group_ids": [Command.set([env.ref(name).id for name in ["base.group_user", *groups]])],
            }
        )
    return users


def make_client(env):
    known = env["res.users"].search([("login", "=", "client")])
    if known:
        return known
    company = env["res.partner"].create(
        {"name": "Harbour Logistics", "is_company": True, "email": "office@example.com"}
    )
    contact = env["res.partner"].create(
        {"name": "Client of Harbour Logistics", "parent_id": company.id, "email": "client@example.com"}
    )
    return env["res.users"].create(
        {
            "login": "client",
            "password": "client",
            "partner_id": contact.id,
            "group_ids": [Command.set([env.ref("base.group_portal").id])],
        }
    )


def prepare(env):
    """Make what a company sets up once: the account of what clients keep back, and a template."""
    if not env.company.milestone_retention_account_id:
        env.company._create_retention_account()
    if env["sale.milestone.template"].search_count([("name", "=", TEMPLATE)], limit=1):
        return
    template = env["sale.milestone.template"].create(
        {
            "name": TEMPLATE,
            "line_ids": [
                Command.create(
                    {
                        "sequence": number,
                        "name": name,
                        "percentage": share,
                        "delay_number": weeks,
                        "deliverable_ids": [Command.create({"name": deliverable, "acceptance_criteria": criteria})],
                    }
                )
                for number, (name, share, weeks, deliverable, criteria) in enumerate(PLAN, 1)
            ],
        }
    )
    for line, before in zip(template.line_ids[1:], template.line_ids, strict=False):
        line.predecessor_ids = before


def plan(env, client):
    """Write a quotation of one line and divide it with the plan wizard, as its dialog does."""
    from odoo.tests import Form

    product = env.ref("milestone_billing.product_milestone")
    line = {"product_id": product.id, "name": TEMPLATE, "price_unit": PRICE}
    order = env["sale.order"].create({"partner_id": client.id, "order_line": [Command.create(line)]})
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
    tell_fact(f"{'Total':<10} {money(untaxed, order)}  with taxes {money(total, order).strip()}")
    planned = order.milestone_ids
    check(order, sum(planned.mapped("amount_untaxed")), untaxed, "The milestones are the order, untaxed")
    check(order, sum(planned.mapped("amount_total")), total, "The milestones are the order, with taxes")
    return order


def agree(order):
    order.write(TERMS)
    say(f"Agreed with it: an advance of {order.milestone_advance_percentage:g} %, deducted from each invoice.")
    tell_fact(" ".join(order._get_retention_sentences()))


def sign(order):
    """The client signs: what the portal's signature does."""
    order = order.sudo()
    order.write({"signed_by": order.partner_id.name, "signed_on": fields.Datetime.now(), "signature": draw_signature()})
    order.action_confirm()
    say(f"The client signs; {order.name} is confirmed and project {order.project_id.name} is made.")
    first = order.milestone_ids[0]
    tell_fact(
        f"Tasks of {first.name}: {', '.join(first.deliverable_ids.task_id.mapped('name'))}; the others are a plan."
    )
    tell_fact(f"Team: {', '.join(order.milestone_contact_ids.mapped('display_name'))}; the client gets a welcome.")
    tell_fact(f"Invoiceable now: {money(sum(order.order_line.mapped('untaxed_amount_to_invoice')), order)}")


def bill_advance(env, order):
    env["sale.milestone"]._cron_process_invoice_queue()
    order = env["sale.order"].browse(order.id)
    invoice = order.invoice_ids
    say(f"The advance is invoiced by itself: {invoice.name}, {money(invoice.amount_total, invoice).strip()}.")
    agreed = order.currency_id.round(order.amount_total * order.milestone_advance_percentage / 100)
    check(order, order.advance_invoiced, agreed, "The advance is what was agreed on")
    return invoice


def present(env, milestone):
    """Do the work, link it and submit it for approval."""
    milestone = env["sale.milestone"].browse(milestone.id)
    milestone.action_start()
    milestone.deliverable_ids.url = f"https://example.com/{milestone.name.lower()}"
    milestone.action_submit()
    return milestone


def deliver(env, order):
    milestone = present(env, order.milestone_ids[0])
    say(f"The project manager delivers {milestone.name} and submits it, round {milestone.approval_round}.")
    asked = milestone.approval_id.recipient_ids.partner_id
    tell_fact(f"A personal link goes to {asked.email}; the answer is due on {milestone.review_due_date}.")
    return milestone


def approve(env, milestone, partner):
    """The client approves: what the portal's page sends."""
    milestone = env["sale.milestone"].browse(milestone.id)
    approval = milestone._approve(
        {
            "partner": partner,
            "method": "portal",
            "snapshot_hash": milestone.approval_id.snapshot_hash,
            "signed_by": partner.name,
            "signature": draw_signature(),
            "consent": milestone._get_consent(),
            "ip_address": "127.0.0.1",
        }
    )
    env.cr.commit()  # the approval is the client's act: it stands before anything follows from it
    say(f"{partner.name} approves with a signature: “{approval.consent}”")
    tell_fact(f"Snapshot {approval.snapshot_hash[:16]}…, chain {approval.chain_hash[:16]}…")
    tell_fact(f"Evidence: {milestone._verify_evidence() or 'unbroken'}")


def bill(env, milestone):
    env["sale.milestone"]._cron_process_invoice_queue()
    invoice = env["sale.milestone"].browse(milestone.id).invoice_line_ids.move_id
    say(f"The invoice queue makes {invoice.name} without a further click.")
    untaxed, tax, total = (money(invoice[name], invoice) for name in ("amount_untaxed", "amount_tax", "amount_total"))
    tell_fact(f"{untaxed.strip()} + taxes {tax.strip()} = {total.strip()}, {invoice.state}")
    milestone = invoice.billing_milestone_ids
    tell_fact(f"The advance is deducted from it: {money(milestone.advance_recovered, invoice).strip()}, with taxes")
    tell_fact(f"Kept back by the client: {money(invoice.retention_amount, invoice).strip()}")
    return invoice


def begin_next(env, order):
    env["sale.milestone"]._cron_create_next_tasks()
    following = env["sale.order"].browse(order.id).milestone_ids[1]
    if not following.deliverable_ids.task_id:
        raise AssertionError(f"{following.name} has no tasks.")
    due = following.deliverable_ids.task_id[-1:].date_deadline
    say(f"{following.name} comes next: its tasks are made, the last one is due on {due:%Y-%m-%d}.")


def pay(env, invoice):
    invoice = env["account.move"].browse(invoice.id)
    context = {"active_model": "account.move", "active_ids": invoice.ids}
    env["account.payment.register"].with_context(**context).create({}).action_create_payments()
    left = money(invoice.amount_residual, invoice).strip()
    say(f"The accountant registers the payment of {invoice.name}: {invoice.payment_state}, {left} is left.")


def keep_accounts(env, order):
    """Advance and retention: what the contract says of them is what their accounts hold."""
    order = env["sale.order"].browse(order.id)
    entries = order.invoice_ids.line_ids
    account = order.company_id._get_retention_account()
    retained = entries.filtered(lambda line: line.account_id == account)
    check(order, sum(retained.mapped("amount_residual_currency")), order.retention_withheld, "The retention account")
    advance = -sum(entries.filtered("is_downpayment").mapped("amount_currency"))
    taxed = order.currency_id.round(advance * order.amount_total / order.amount_untaxed)
    check(order, taxed, order.advance_remaining, "The advance account")
    say(f"On {order.name}, by contract and by ledger:")
    tell_fact(f"Advance invoiced  {money(order.advance_invoiced, order)}")
    tell_fact(f"        recovered {money(order.advance_recovered, order)}")
    tell_fact(f"        left      {money(order.advance_remaining, order)}, {advance:,.2f} of it untaxed")
    tell_fact(f"Retained          {money(order.retention_withheld, order)}, on {account.code} {account.name}")


def reconcile(env, order, invoice):
    """Let the ledger speak: debits against credits, and from the invoice back to the signature."""
    invoice = env["account.move"].browse(invoice.id)
    moves = invoice + invoice.matched_payment_ids.move_id
    lines = moves.line_ids.filtered("account_id")
    debit, credit = sum(lines.mapped("debit")), sum(lines.mapped("credit"))
    say("The ledger says:")
    for account, items in lines.grouped("account_id").items():
        tell_entry(f"{account.code} {account.name}", sum(items.mapped("debit")), sum(items.mapped("credit")))
    tell_entry("Sum", debit, credit)
    if not lines or env.company.currency_id.compare_amounts(debit, credit):
        raise AssertionError("The ledger of the story does not balance.")
    milestone = invoice.billing_milestone_ids
    say(f"{milestone._get_billing_statements()[0]}; billing: {milestone.billing_state}.")
    remaining = order.sudo().amount_untaxed - sum(order.sudo().milestone_ids.mapped("amount_invoiced"))
    tell_fact(f"Still to be earned on {order.name}: {money(remaining, order).strip()}")


def submit_next(env, order):
    milestone = present(env, order.milestone_ids[1])
    say(f"{milestone.name} is submitted and waits for the client in the portal: that one is yours.")


def draw_signature():
    """Return a drawn line as a PNG picture, base64."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (320, 80), (255, 255, 255, 0))
    ImageDraw.Draw(picture).line([(10, 60), (60, 15), (90, 65), (150, 20), (300, 45)], fill="black", width=3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue())


def check(record, amount, expected, what):
    """Stop the story where its figures are not those of the database."""
    if record.currency_id.compare_amounts(amount, expected):
        raise AssertionError(f"{what}: {amount} is not {expected}.")


def money(amount, record):
    return f"{amount:12,.{record.currency_id.decimal_places}f} {record.currency_id.name}"


def say(text):
    print(f"\n• {text}")


def tell_fact(text):
    print(f"    {text}")


def tell_entry(name, debit, credit):
    print(f"    {name[:36]:<36} {debit:12,.2f} {credit:12,.2f}")
