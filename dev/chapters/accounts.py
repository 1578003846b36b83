"""What the accounts say: advance, invoices, payments, retention, ledger and statement."""

from dev.chapters.words import check, money, price, say, tell_entry, tell_fact


def bill_advance(env, order):
    env["sale.milestone"]._cron_process_invoice_queue()
    order = env["sale.order"].browse(order.id)
    invoice = order.invoice_ids
    say(f"The advance is invoiced by itself: {invoice.name}, {price(invoice.amount_total, invoice)}.")
    agreed = order.currency_id.round(order.amount_total * order.milestone_advance_percentage / 100)
    check(order, order.advance_invoiced, agreed, "The advance is what was agreed on")
    return invoice


def bill(env, milestone):
    env["sale.milestone"]._cron_process_invoice_queue()
    milestone = env["sale.milestone"].browse(milestone.id)
    invoice = milestone.invoice_line_ids.move_id
    say(f"The invoice queue makes {invoice.name} without a further click.")
    untaxed, tax, total = (price(invoice[name], invoice) for name in ("amount_untaxed", "amount_tax", "amount_total"))
    tell_fact(f"{untaxed} + taxes {tax} = {total}, {invoice.state}")
    tell_fact(f"The advance is deducted from it: {price(milestone.advance_recovered, invoice)}, with taxes")
    tell_fact(f"Kept back by the client: {price(invoice.retention_amount, invoice)}")
    check(milestone, milestone.amount_invoiced, milestone.amount_untaxed, f"What is billed of {milestone.name}")
    return invoice


def pay(env, invoice):
    invoice = env["account.move"].browse(invoice.id)
    context = {"active_model": "account.move", "active_ids": invoice.ids}
    env["account.payment.register"].with_context(**context).create({}).action_create_payments()
    left = price(invoice.amount_residual, invoice)
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
    tell_fact(f"Still to be earned on {order.name}: {price(remaining, order)}")


def state(env, order):
    """The statement of the contract: original + changes = revised, and what is billed of that."""
    order = env["sale.order"].browse(order.id)
    statement = order._get_statement_values()
    sums = statement["subtotal"]
    say(f"The statement of {order.name} says, untaxed:")
    columns = ("contract", "changes", "revised", "to_date", "remaining")
    heads = ("original", "changes", "revised", "billed", "remaining")
    tell_fact(f"{'':<10} " + " ".join(f"{head:>12}" for head in heads))
    for row in statement["rows"]:
        tell_fact(f"{row['milestone'].name:<10} " + " ".join(f"{row[column]:12,.2f}" for column in columns))
    tell_fact(f"{'Sum':<10} " + " ".join(f"{sums[column]:12,.2f}" for column in columns))
    check(order, sums["contract"] + sums["changes"], sums["revised"], "Original and changes")
    check(order, sums["revised"], order.amount_untaxed, "The revised contract is the order")
    check(order, sums["to_date"] + sums["remaining"], sums["revised"], "What is billed and what remains")
    posted = order.invoice_ids.filtered(lambda move: move.state == "posted")
    check(order, statement["total"]["to_date"], sum(posted.mapped("amount_total_signed")), "All invoices, with taxes")
    total = price(statement["total"]["to_date"], order)
    tell_fact(f"Billed with taxes, advance and recovery: {total}, the sum of {len(posted)} invoices")
