"""What must hold of the money of a contract at every moment.

Everything is counted from the ledger and the order lines, not asked of the addon: amounts in the
order's currency, compared in its smallest unit; *net* of a milestone is what its live invoice
lines bill less what its credit notes take back.
"""

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

LINE_FIELDS = (
    "name",
    "product_uom_qty",
    "price_unit",
    "discount",
    "price_subtotal",
    "price_tax",
    "price_total",
)

LEGAL_TRANSITIONS = {
    "draft": {"in_progress", "cancelled"},
    "in_progress": {"internal_review", "submitted", "approved", "cancelled"},
    "internal_review": {"submitted", "approved", "in_progress", "cancelled"},
    "submitted": {"approved", "changes_requested", "in_progress", "cancelled"},
    "changes_requested": {"in_progress", "submitted", "cancelled"},
    "approved": {"in_progress"},
    "cancelled": {"draft"},
}


def reachable(start):
    """The states that legal transitions lead to from ``start``, several in one step of the machine."""
    found, todo = {start}, [start]
    while todo:
        for state in LEGAL_TRANSITIONS[todo.pop()] - found:
            found.add(state)
            todo.append(state)
    return found


@dataclass
class Memory:
    """A contract: what was quoted and agreed, and what was seen since; it must not change."""

    order: object
    amounts: dict
    milestones: object = field(init=False)
    planned: dict = field(init=False)
    evidence: dict = field(default_factory=dict)
    states: dict = field(default_factory=dict)
    rounds: dict = field(default_factory=dict)
    edited: set = field(default_factory=set)  # draft lines to which somebody gave another price
    raised: set = field(
        default_factory=set
    )  # and raised their invoice by it, or led below nothing: refused when posted
    original: float = field(init=False)  # untaxed sum of the milestones as they were signed
    changes: list = field(default_factory=list)  # by how much each change order changed it
    reduced: dict = field(default_factory=lambda: defaultdict(float))  # acceptance: what was taken from it since
    written: dict = field(default_factory=dict)  # change request: the milestones that it was written against
    decided: dict = field(default_factory=dict)  # change request: how it was decided
    billed_lines: dict = field(default_factory=dict)  # order line: its values when it was billed first
    retainable: float = 0.0  # the most that the retention could be of what the contract was

    def __post_init__(self):
        self.renew()
        self.planned = {milestone: milestone.amount_untaxed for milestone in self.order.milestone_ids}
        self.original = sum(self.planned.values())

    def renew(self):
        """Look up the milestones anew."""
        self.milestones = self.order.milestone_ids.sorted("sequence")


def equal(currency, first, second, message):
    assert units(currency, first) == units(currency, second), f"{message}: {first} is not {second}"


def units(currency, amount):
    """An amount in the smallest units of the currency."""
    return round(amount / currency.rounding)


# While the checks run, which change nothing: the lines of each milestone.
known_lines = {}


def product_lines(milestone):
    if milestone in known_lines:
        return known_lines[milestone]
    return milestone.env["account.move.line"].search(
        [("sale_line_ids.billing_milestone_id", "=", milestone.id), ("display_type", "=", "product")]
    )


def bills(lines):
    """The lines of invoices that are not cancelled; a negative milestone line still is a bill."""
    return lines.filtered(lambda line: line.parent_state != "cancel" and line.move_type == "out_invoice")


def credits_of(lines):
    return lines.filtered(lambda line: line.parent_state == "posted" and line.move_type == "out_refund")


def net(milestone):
    """What is billed of a milestone, drafts included, less posted credit notes."""
    lines = product_lines(milestone)
    return -sum((bills(lines) | credits_of(lines)).mapped("amount_currency"))


def posted_net(milestone):
    lines = product_lines(milestone).filtered(lambda line: line.parent_state == "posted")
    return -sum(lines.mapped("amount_currency"))


def counting(lines):
    """Those of documents that are worth something of their milestone, in one set of taxes at least.

    What a change reduced to nothing is billed and credited as nothing: its line, less its reduction, however often.
    """

    def counts(line):
        worth = Counter()
        for other in line.move_id.line_ids:
            if other.display_type == "product" and other.billing_milestone_id == line.billing_milestone_id:
                worth[other.tax_ids] += other.amount_currency
        return any(units(line.currency_id, amount) for amount in worth.values())

    return lines.filtered(counts)


def line_values(line):
    """What an order line is worth, tax by tax."""
    fixed = (line.extra_tax_data or {}).get("manual_tax_amounts", {})
    taxes = {int(tax): values.get("tax_amount_currency", 0.0) for tax, values in fixed.items() if tax}
    values = {name: line[name] for name in LINE_FIELDS}
    return {**values, "milestone": line.billing_milestone_id.id, "tax_ids": line.tax_ids.ids, "taxes": taxes}


def milestone_amounts(milestone):
    """What a milestone of a confirmed contract is worth by the fixed amounts of its lines: sums and each tax."""
    amounts = Counter()
    for line in milestone.env["sale.order.line"].search([("billing_milestone_id", "=", milestone.id)]):
        values = line_values(line)
        amounts.update(untaxed=values["price_subtotal"], tax=values["price_tax"], total=values["price_total"])
        amounts.update(values["taxes"])
    return amounts


def reductions(milestone):
    """The lines that change orders made to be credited: their quantity is negative."""
    return milestone.order_line_ids.filtered(lambda line: line.change_line_id and line.product_uom_qty < 0)


def waiting_reductions(milestone):
    """What was reduced and is on no posted document and no draft invoice yet (negative)."""
    counted = {("posted", "out_invoice"), ("posted", "out_refund"), ("draft", "out_invoice")}
    waiting = reductions(milestone).filtered(
        lambda line: not any((bill.parent_state, bill.move_type) in counted for bill in line.invoice_lines)
    )
    return sum(waiting.mapped("price_subtotal"))


def raised_drafts(machine, lines):
    return [line for line in lines if line.parent_state == "draft" and line in machine.memory.raised]


def fingerprint(machine):
    """Everything that a repeated run could change."""
    milestones = machine.all_milestones()
    return (
        [(move.id, move.state, move.amount_total, move.payment_state) for move in machine.all_moves()],
        [(milestone.state, milestone.billing_state, milestone.billing_round) for milestone in milestones],
        machine.env["mail.activity"].search_count([("res_id", "in", milestones.ids)]),
    )


def check_all(machine):
    known_lines.update({milestone: product_lines(milestone) for milestone in machine.milestones})
    try:
        for check in CHECKS:
            check(machine)
    finally:
        known_lines.clear()


def check_conservation(machine):
    """The milestones and the free lines are the contract, to the smallest unit."""
    order, memory = machine.order, machine.memory
    for name, agreed in memory.amounts.items():
        if isinstance(name, str):
            equal(order.currency_id, order[name], agreed, f"conservation of {name}")
    for milestone, planned in memory.planned.items():
        equal(order.currency_id, milestone.amount_untaxed, planned, f"planned amount of {milestone.name}")
    lines = order.order_line.filtered(lambda line: not line.display_type and not line.is_downpayment)
    free = sum(lines.filtered(lambda line: not line.billing_milestone_id).mapped("price_subtotal"))
    planned = sum(milestone.amount_untaxed for milestone in machine.milestones)
    equal(order.currency_id, planned + free, order.amount_untaxed, "milestones and free lines are the order")


def check_cap(machine):
    """Never below nothing, never beyond the plan."""
    for milestone in machine.milestones:
        currency = milestone.currency_id
        amounts = [posted_net(milestone)]
        if not raised_drafts(machine, product_lines(milestone)):
            amounts.append(net(milestone))
        # what is reduced after it was billed stays billed until it is credited
        most = milestone.amount_untaxed - waiting_reductions(milestone)
        for amount in amounts:
            assert 0 <= units(currency, amount) <= units(currency, most), (
                f"{milestone.name} is billed {amount} of {milestone.amount_untaxed}"
            )


def check_exactly_once(machine):
    """No order line is billed by two live documents for more than it is worth."""
    for line in machine.order.order_line.filtered("billing_milestone_id"):
        if line.display_type:
            continue
        items = counting(line.invoice_lines)
        drafts = bills(items).filtered(lambda bill: bill.parent_state == "draft")
        billed = -sum((bills(items) | credits_of(items)).mapped("amount_currency"))
        if drafts and not machine.memory.edited.intersection(drafts):
            assert abs(units(line.currency_id, billed)) <= abs(units(line.currency_id, line.price_subtotal)) + 1, (
                f"{line.name} would be billed {billed} of {line.price_subtotal}"
            )


def check_approved_before_billed(machine):
    """Every live bill has an earlier approval of the same amount and currency."""
    for milestone in machine.milestones:
        for line in bills(product_lines(milestone)):
            if line.parent_state == "posted" and not units(milestone.currency_id, posted_net(milestone)):
                continue  # credited in full: the approval may have been taken back since
            # earlier: this is checked after every step, and a step is either an approval or a bill
            approvals = milestone.approval_ids.filtered(lambda approval: approval.decision == "approved")
            assert approvals, f"{milestone.name} is billed without an approval"
            assert milestone.state == "approved", f"{milestone.name} is billed and {milestone.state}"
            last = approvals.sorted("id")[-1]
            snapshot = last.snapshot
            approved = milestone.amount_untaxed - machine.memory.reduced[last]
            exact = f"{approved:.{milestone.currency_id.decimal_places}f}"
            assert f'"untaxed":"{exact}"' in snapshot.replace(": ", ":"), f"{exact} was not what was approved"
            assert line.currency_id == milestone.currency_id


def check_evidence(machine):
    """What was presented and decided stays as it was; its chain is unbroken."""
    seen = machine.memory.evidence
    approvals = machine.env["sale.approval"].union(
        machine.milestones.approval_ids, machine.order.change_request_ids.approval_ids
    )
    for approval in approvals:
        digest = hashlib.sha256(approval.snapshot.encode()).hexdigest()
        assert digest == approval.snapshot_hash, f"the snapshot of round {approval.round} does not match its hash"
        assert seen.setdefault(approval, digest) == digest, f"the snapshot of round {approval.round} changed"
    assert set(seen) <= set(approvals), "evidence is gone"
    for subject in [*machine.milestones, *machine.order.change_request_ids]:
        broken = subject._verify_evidence()
        assert not broken, broken


def check_transitions(machine):
    memory = machine.memory
    for milestone in machine.milestones:
        before = memory.states.get(milestone, "draft")
        assert milestone.state in reachable(before), f"{milestone.name} went from {before} to {milestone.state}"
        memory.states[milestone] = milestone.state
        rounds = (milestone.approval_round, milestone.billing_round)
        old = memory.rounds.get(milestone, (0, 1))
        assert rounds[0] >= old[0] and rounds[1] >= old[1], f"rounds of {milestone.name} went down: {old} to {rounds}"
        memory.rounds[milestone] = rounds


def check_gate(machine):
    """What is not approved, or on hold, is not due; what is due is what is not billed, by Odoo's own figures."""
    for milestone in machine.milestones:
        currency = milestone.currency_id
        due = sum(milestone.order_line_ids.mapped("untaxed_amount_to_invoice"))
        quantities = milestone.order_line_ids.mapped("qty_to_invoice")
        if milestone.state != "approved" or milestone.on_hold:
            assert not any(quantities) and not units(currency, due), f"{milestone.name} is due before its approval"
        elif any(quantities):
            equal(currency, due, milestone.amount_untaxed - posted_net(milestone), f"what is due of {milestone.name}")
            drafts = bills(product_lines(milestone)).filtered(lambda line: line.parent_state == "draft")
            assert not drafts, f"{milestone.name} is due, and its bill is a draft already"


def check_reversal(machine):
    """A credit note makes nothing billable by itself: somebody decides that, and a new round begins."""
    for milestone in machine.milestones:
        current = bills(product_lines(milestone)).filtered(
            lambda line, milestone=milestone: line._get_billing_round() == milestone.billing_round
        )
        if current:
            quantities = milestone.order_line_ids.mapped("qty_to_invoice")
            assert not any(quantities), f"{milestone.name} is billed in this round, and due again"


def check_native_figures(machine):
    """Odoo's own figures of the order tell the truth."""
    order = machine.order
    if order.state != "sale":
        return
    for line in order.order_line.filtered("billing_milestone_id"):
        if line.display_type:
            continue
        posted = line.invoice_lines.filtered(lambda bill: bill.parent_state == "posted")
        equal(order.currency_id, line.untaxed_amount_invoiced, -sum(posted.mapped("amount_currency")), line.name)
    # what was reduced to nothing before its bill gets one of 0.00
    if not any(
        units(order.currency_id, milestone.amount_untaxed - net(milestone))
        or (milestone.state == "approved" and not bills(product_lines(milestone)))
        for milestone in machine.milestones
    ):
        gated = order.order_line.filtered(lambda line: line.billing_milestone_id and not line.display_type)
        assert not any(gated.mapped("qty_to_invoice")), "all is billed, and something is to invoice"
    # of a down payment Odoo offers what a draft credit note would take back, and does not call it due
    if any(line.qty_to_invoice > 0 for line in order.order_line if not line.is_downpayment):
        assert order.invoice_status == "to invoice", order.invoice_status


def check_ledger(machine):
    """Debits are credits; what customers owe is what the documents say."""
    for move in machine.moves():
        company_currency = move.company_currency_id
        equal(company_currency, sum(move.line_ids.mapped("balance")), 0.0, f"{move.display_name} is balanced")
        owed = sum(move.line_ids.filtered(lambda line: line.display_type == "payment_term").mapped("amount_currency"))
        signed = move.amount_total if move.move_type == "out_invoice" else -move.amount_total
        equal(move.currency_id, owed, signed, f"what is owed by {move.display_name}")
        assert move.currency_id == machine.order.currency_id
        assert move.company_id == machine.order.company_id


def advance_lines(order):
    """The invoice lines of advances: positive where asked for, negative where recovered."""
    return order.order_line.filtered("is_milestone_advance").invoice_lines


def check_advance(machine):
    """Never more is recovered than was asked for, drafts of recoveries included; a credit note counts once posted."""
    order = machine.order
    lines = advance_lines(order)
    live = lines.filtered(
        lambda line: (
            line.parent_state == "posted"
            or (line.parent_state == "draft" and line.move_type == "out_invoice" and line.advance_milestone_id)
        )
    )
    left = -sum(live.mapped("amount_currency"))
    assert raised_drafts(machine, live) or units(order.currency_id, left) >= 0, (
        f"{-left} more of the advance is recovered than was asked for"
    )
    equal(order.currency_id, order.advance_remaining, tax_included(live), "what is left of the advance")


def tax_included(lines):
    """What the ledger says of the lines, and their taxes; a price that includes them may be shown a unit off."""
    return -sum(
        line.amount_currency + line.move_id.direction_sign * (line.price_total - line.price_subtotal) for line in lines
    )


def retention_lines(order):
    return order.env["account.move.line"].search(
        [("retention_order_id", "=", order.id), ("parent_state", "=", "posted")]
    )


def check_retention(machine):
    """What is retained is what the account holds, and no more than was agreed."""
    order, currency = machine.order, machine.order.currency_id
    retained = sum(retention_lines(order).mapped("amount_currency"))
    equal(currency, order.retention_retained, retained, "what is retained")
    assert units(currency, retained) >= 0, f"{-retained} more is given back than was retained"
    agreed = order.milestone_retention_percentage / 100
    billed, documents = 0.0, set()
    for milestone in machine.milestones:
        for line in product_lines(milestone).filtered(lambda line: line.parent_state == "posted"):
            by_total = order.milestone_retention_base == "total"
            billed += -line.move_id.direction_sign * line.price_total if by_total else -line.amount_currency
            documents.add(line.move_id)
    # each document rounds, and leaves what would be worth nothing in the books
    off = sum(
        max(currency.rounding, document.company_currency_id.rounding / 2 * document.invoice_currency_rate)
        for document in documents
    )
    assert units(currency, retained) <= units(currency, agreed * billed + off), f"{retained} is retained of {billed}"
    if order.milestone_retention_cap and agreed:
        name = "amount_total" if order.milestone_retention_base == "total" else "amount_untaxed"
        # what was retained of a larger contract is given back by credit notes and releases
        most = sum(milestone[name] for milestone in machine.milestones) * order.milestone_retention_cap / 100
        most = machine.memory.retainable = max(most, machine.memory.retainable)
        assert units(currency, retained) <= units(currency, most) + 1, f"{retained} is retained, {most} at most"
    order.env.flush_all()
    checks = order.env["sale.retention.check"]
    checks.invalidate_model()
    for row in checks.search([]):
        other = waiting_on(row.account_id, row.company_id, row.currency_id)
        equal(row.currency_id, row.difference, other[0], "the list of retentions and the account")
        equal(row.company_currency_id, row.difference_company, other[1], "the list and the account in company currency")


def check_change_control(machine):
    """Revised = original + all approved changes; what is billed or ended stays as it was."""
    order, currency, memory = machine.order, machine.order.currency_id, machine.memory
    requests = order.change_request_ids
    approved = requests.filtered(lambda request: request.state == "approved").sorted("change_order_number")
    assert approved.mapped("change_order_number") == list(range(1, len(memory.changes) + 1)), "numbers of change orders"
    for request, delta in zip(approved, memory.changes, strict=True):
        equal(currency, request.amount_delta, delta, f"amount of {request.name}")
    revised = sum(milestone.amount_untaxed for milestone in machine.milestones)
    equal(currency, memory.original + sum(memory.changes), revised, "original and changes are the revised contract")
    equal(currency, order.milestone_original_amount, memory.original, "original contract")
    equal(currency, order.milestone_changes_amount, sum(memory.changes), "approved changes")
    equal(currency, order.milestone_revised_amount, revised, "revised contract")
    for request in requests:
        if request.state in ("approved", "rejected", "cancelled"):
            decided = memory.decided.setdefault(request, request.state)
            assert request.state == decided, f"{request.name} was {decided} and is {request.state}"
        else:
            assert request not in memory.decided, f"{request.name} was decided and is {request.state}"
    assert set(memory.decided) <= set(requests), "a decided change request is gone"
    check_billed_lines(machine)
    check_ended(machine)
    check_credited_once(machine)


def check_billed_lines(machine):
    """A line that was billed never changes, whatever is agreed later."""
    for line in machine.order.order_line.filtered("billing_milestone_id"):
        if line.invoice_lines and not line.display_type:
            values = machine.memory.billed_lines.setdefault(line, line_values(line))
            assert values == line_values(line), f"{line.name} is billed and was altered: {values}, {line_values(line)}"


def check_ended(machine):
    """Of a cancelled milestone nothing is agreed, billed or due, in any tax."""
    for milestone in machine.milestones.filtered(lambda milestone: milestone.state == "cancelled"):
        currency = milestone.currency_id
        left = {key: amount for key, amount in milestone_amounts(milestone).items() if units(currency, amount)}
        assert not left, f"{milestone.name} is cancelled, and {left} is left of it"
        for amount in (net(milestone), posted_net(milestone), milestone.amount_total):
            equal(currency, amount, 0.0, f"what is billed of {milestone.name}, which is cancelled")
        assert milestone.billing_state == "not_due", f"{milestone.name} is cancelled and {milestone.billing_state}"
        for line in milestone.order_line_ids:
            assert not line.qty_to_invoice and line.invoice_status != "to invoice", f"{line.name} is due"
            equal(currency, line.untaxed_amount_to_invoice, 0.0, f"what is due of {line.name}")


def check_credited_once(machine):
    """What documents say of a reduction is between nothing and all of it; who edits a draft may give more, at first."""
    for line in machine.milestones.order_line_ids.filtered(lambda line: line in reductions(line.billing_milestone_id)):
        if machine.memory.edited.intersection(line.invoice_lines):
            continue
        posted = counting(line.invoice_lines).filtered(lambda item: item.parent_state == "posted")
        credited = units(line.currency_id, sum(posted.mapped("amount_currency")))
        most = -units(line.currency_id, line.price_subtotal)
        assert 0 <= credited <= most, f"{line.name}: {credited} units are credited, {most} were agreed"


def check_not_exceeded(machine):
    """Whatever is billed of a contract with a cap keeps within it."""
    order, currency = machine.order, machine.order.currency_id
    if order.milestone_cap_amount:
        posted = order.order_line.invoice_lines.filtered(lambda line: line.parent_state == "posted")
        billed = -sum(posted.mapped("amount_currency"))
        assert units(currency, billed) <= units(currency, order.milestone_cap_amount), f"{billed} is beyond the cap"


def waiting_on(account, company, currency):
    """What is on the account and settles no retention, for one a payment whose invoice was reset to draft."""
    lines = account.env["account.move.line"].search(
        [
            ("account_id", "=", account.id),
            ("company_id", "=", company.id),
            ("currency_id", "=", currency.id),
            ("parent_state", "=", "posted"),
            ("retention_order_id", "=", False),
        ]
    )
    amount, balance = sum(lines.mapped("amount_currency")), sum(lines.mapped("balance"))
    for partial in lines.matched_debit_ids:
        if partial.debit_move_id.retention_order_id and partial.debit_move_id.parent_state == "posted":
            amount, balance = amount + partial.credit_amount_currency, balance + partial.amount
    for partial in lines.matched_credit_ids:
        if partial.credit_move_id.retention_order_id and partial.credit_move_id.parent_state == "posted":
            amount, balance = amount - partial.debit_amount_currency, balance - partial.amount
    return amount, balance


def check_settled(machine):
    """When all is released and paid, nothing is open, and the accounts of advance and retention are at zero."""
    order = machine.order
    company_currency = order.company_id.currency_id
    for move in machine.moves("posted"):
        # nobody can pay a few fils that are worth nothing in the books
        worth = move.amount_residual / (move.invoice_currency_rate or 1.0)
        if worth >= company_currency.rounding or not company_currency.is_zero(move.amount_residual_signed):
            equal(order.currency_id, move.amount_residual, 0.0, f"what is open of {move.display_name}")
    advance = advance_lines(order).filtered(lambda line: line.parent_state == "posted")
    differences = machine.env["account.move.line"].search(
        [
            ("exchange_advance_line_id", "in", advance.sale_line_ids.ids),
            ("account_id", "in", advance.account_id.ids),
            ("parent_state", "=", "posted"),
        ]
    )
    equal(order.currency_id, sum(advance.mapped("amount_currency")), 0.0, "the advance account")
    equal(company_currency, sum((advance | differences).mapped("balance")), 0.0, "the advance account, own currency")
    account = order.company_id.milestone_retention_account_id
    retained = machine.env["account.move.line"].search(
        [("account_id", "=", account.id), ("parent_state", "=", "posted")]
    )
    # what was paid for an invoice that was reset, and credited then, is the client's
    credit = sum(retained.filtered(lambda line: line.payment_id and not line.reconciled).mapped("amount_residual"))
    equal(company_currency, sum(retained.mapped("balance")), credit, "the retention account")


def check_completion(machine):
    """At the end all is billed: the documents are the contracts, untaxed, per tax and in total."""
    moves = machine.all_moves("posted")
    signs = {move: -1 if move.move_type == "out_refund" else 1 for move in moves}
    billed = {
        name: sum(sign * move[name] for move, sign in signs.items())
        for name in ("amount_untaxed", "amount_tax", "amount_total")
    }
    for line in moves.line_ids.filtered("tax_line_id"):
        billed[line.tax_line_id] = billed.get(line.tax_line_id, 0.0) - line.amount_currency
    agreed, off, by_hand = Counter(), 0, 0
    for memory in machine.each():
        agreed.update(memory.amounts)
        off += count_roundings_of_free_lines(machine)
        by_hand += count_roundings_by_hand(machine)
        check_billed(machine)
    currency = machine.order.currency_id
    for name, amount in agreed.items():
        label = name if isinstance(name, str) else name.name
        difference = units(currency, billed.get(name, 0.0)) - units(currency, amount)
        assert abs(difference) <= off + (0 if label == "amount_untaxed" else by_hand), (
            f"{label} at the end: {billed.get(name, 0.0)} is not {amount}"
        )


def check_billed(machine):
    """Odoo has nothing left to invoice of the order."""
    order = machine.order
    open_lines = {
        line.name: (line.invoice_status, line.price_subtotal, line.untaxed_amount_invoiced)
        for line in order.order_line
        if not line.display_type and line.invoice_status != "invoiced"
    }
    assert order.invoice_status == "invoiced", f"the order ends {order.invoice_status}: {open_lines}"
    left = units(order.currency_id, order.amount_to_invoice)
    off = count_roundings_of_free_lines(machine) + count_roundings_by_hand(machine)
    assert abs(left) <= off, f"{order.amount_to_invoice} is left to invoice"


def count_roundings_of_free_lines(machine):
    """Return by how many units Odoo's own billing of the lines beside the plan may differ from what was quoted.

    What was credited twice is billed again twice, on one line: that is rounded once. Milestones have no such slack.
    """
    free = machine.order.order_line.filtered(lambda line: not (line.billing_milestone_id or line.is_downpayment))
    return sum(
        math.ceil(abs(bill.quantity / line.product_uom_qty)) * (1 + len(line.tax_ids))
        for line in free
        for bill in line.invoice_lines
        if bill.parent_state == "posted" and bill.quantity != line.product_uom_qty
    )


def count_roundings_by_hand(machine):
    """Return by how many units taxes may differ where credit notes by hand took in parts what nothing bills again.

    That is what changes reduced, and what is credited of an advance: each credit note rounds its taxes, and no
    document makes up for it afterwards.
    """
    reduced = [
        line
        for milestone in machine.milestones
        if any(not line.invoice_lines for line in reductions(milestone))
        for line in credits_of(product_lines(milestone))
    ]
    advances = machine.order.order_line.filtered("is_milestone_advance").invoice_lines
    return sum(1 + len(line.tax_ids) for line in [*reduced, *credits_of(advances)])


CHECKS = (
    check_conservation,
    check_cap,
    check_exactly_once,
    check_approved_before_billed,
    check_evidence,
    check_transitions,
    check_gate,
    check_reversal,
    check_native_figures,
    check_ledger,
    check_advance,
    check_retention,
    check_change_control,
    check_not_exceeded,
)
