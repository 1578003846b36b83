"""Change requests in random lives: how they are drawn, and what exactly an approved one may do to a contract.

What is expected follows from the lines of the request and the contract as it was before, counted from
the order lines and documents; the addon is asked for nothing but its own claims, to compare them.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st

from odoo import fields
from odoo.fields import Command

from tests.money.invariants import equal, line_values, milestone_amounts, units

OPEN_STATES = ("draft", "submitted", "changes_requested")
LEAST = 0.05
SHARES = (0.0, 0.0, 0.1, 1 / 3, 0.5, 1.5, -0.1, -1 / 3, -0.5, -0.9, -1.0)


@dataclass(frozen=True)
class Change:
    """A line of a change request: of which milestone, and by how much of its amount and how many smallest units."""

    action: str
    index: int
    target: int
    share: float
    units: int
    product: int
    days: int
    is_renamed: bool


def changes():
    """Return the strategy that draws the lines of a change request."""
    change = st.builds(
        Change,
        action=st.sampled_from(["add", "change", "change", "change", "split", "merge", "cancel"]),
        index=st.integers(0, 7),
        target=st.integers(0, 7),
        share=st.sampled_from(SHARES),
        units=st.sampled_from([-1, 0, 1, 7]),
        product=st.integers(0, 2),
        days=st.sampled_from([0, 0, 30]),
        is_renamed=st.sampled_from([False, False, True]),
    )
    return st.lists(change, min_size=1, max_size=3).map(tuple)


def prepare_lines(machine, drawn):
    """Return the values of the lines of a request; each milestone is the subject of one of them at most."""
    used, values = machine.milestones.browse(), []
    for change in drawn:
        free = machine.live() - used
        if change.action in ("split", "merge", "cancel"):
            # what is approved is refused; that is tried, but not all the time
            free = free.filtered(lambda milestone: milestone.state != "approved") or free[:1]
        milestone = free[change.index % len(free)] if free else free
        if change.action != "add" and not milestone:
            continue
        line, touched = prepare_line(machine, change, milestone, machine.live() - used)
        used |= touched
        values.append(line)
    return values


def prepare_line(machine, change, milestone, others):
    currency = machine.order.currency_id
    amount = currency.round(change.share * (milestone or machine.live())[:1].amount_untaxed)
    amount += change.units * currency.rounding
    values = {"action": change.action, "milestone_id": milestone.id}
    touched = milestone
    date = change.days and fields.Date.today() + timedelta(days=change.days)
    if change.action == "add":
        products = [machine.env["product.product"], *machine.case.change_products]
        values.update(milestone_id=False, new_name="Added", amount=abs(amount), product_id=products[change.product].id)
        values.update(new_date=date, deliverable_ids=[Command.create({"action": "add", "name": "More work"})])
        touched = milestone.browse()
    elif change.action == "split":
        amount = currency.round(min(abs(amount), milestone.amount_untaxed / 2)) or currency.rounding
        values.update(new_name="Split off", amount=amount, new_date=date)
        values.update(deliverable_ids=[Command.create({"action": "add", "name": "Part of the work"})])
    elif change.action == "merge":
        targets = (others - milestone).filtered(lambda target: target.state != "approved")
        target = targets[change.target % len(targets)] if targets else targets
        values.update({"target_id": target.id} if target else {"action": "cancel"})
        touched |= target
    elif change.action == "change":
        # what is not approved is cancelled rather than reduced to nothing, or to what no entry in the books can show
        least = 0 if milestone.state == "approved" else max(currency.rounding, currency.round(LEAST))
        values["amount"] = max(amount or currency.rounding, least - milestone.amount_untaxed)
        if milestone.state != "approved":
            values.update(new_date=date, new_name=change.is_renamed and f"{milestone.name}, changed")
    return values, touched


class Contract:
    """Everything that an approved change must not touch, and what it starts from."""

    def __init__(self, machine):
        self.machine = machine
        order = machine.order
        self.lines = {line: line_values(line) for line in order.order_line if not line.display_type}
        self.milestones = {milestone: milestone_amounts(milestone) for milestone in machine.milestones}
        self.states = {milestone: milestone.state for milestone in machine.milestones}
        self.plan = {
            milestone: (milestone.name, fields.Date.to_string(milestone.contract_date) or "")
            for milestone in machine.milestones
        }
        self.amounts = {name: order[name] for name in ("amount_untaxed", "amount_tax", "amount_total")}
        self.taxes = Counter(machine.case._order_tax_amounts(order))
        self.documents = [document_values(move) for move in machine.moves()]
        self.change_orders = order.change_order_ids

    def milestone_sum(self):
        total = Counter()
        for amounts in self.milestones.values():
            total.update(amounts)
        return total


def document_values(move):
    lines = [
        (line.id, line.amount_currency, line.balance, line.price_unit, line.quantity, line.tax_ids.ids, line.name)
        for line in move.line_ids.sorted("id")
    ]
    return move.id, move.state, move.amount_total, move.amount_residual, move.payment_state, lines


class Application:
    """What the lines of a request do to the amounts of a contract, worked out before it is applied."""

    def __init__(self, machine, request):
        self.machine, self.request = machine, request
        self.currency = machine.order.currency_id
        self.before = Contract(machine)
        self.untaxed = {milestone: amounts["untaxed"] for milestone, amounts in self.before.milestones.items()}
        self.added = {}  # request line: amount of the milestone that it adds
        self.groups = []  # milestones between which amounts move: (milestone, line that adds another one or None)
        self.ended = machine.milestones.browse()
        self.reduced = {}  # milestones that were approved before: what is taken from them
        self.touched = machine.milestones.browse()
        self.billing = {milestone: milestone.billing_state for milestone in machine.milestones}
        self.delta = 0.0
        for line in request.line_ids.sorted(lambda line: (line.sequence, line.id)):
            getattr(self, f"expect_{line.action}")(line)

    def expect_add(self, line):
        self.added[line] = line.amount
        self.delta += line.amount

    def expect_change(self, line):
        milestone, is_approved = line.milestone_id, line.milestone_id.state == "approved"
        self.delta += line.amount
        if is_approved and line.amount > 0:
            self.added[line] = line.amount
            return
        self.touched |= milestone
        self.untaxed[milestone] += line.amount
        if is_approved:
            self.reduced[milestone] = line.amount

    def expect_split(self, line):
        self.touched |= line.milestone_id
        self.untaxed[line.milestone_id] -= line.amount
        self.added[line] = line.amount
        self.groups.append(({line.milestone_id}, line))

    def expect_merge(self, line):
        source, target = line.milestone_id, line.target_id
        self.touched |= source | target
        self.untaxed[target] += self.untaxed[source]
        self.untaxed[source] = 0.0
        self.ended |= source
        joined = next((group for group, added in self.groups if target in group and not added), None)
        if joined:
            joined.add(source)
        else:
            self.groups.append(({source, target}, None))

    def expect_cancel(self, line):
        self.touched |= line.milestone_id
        self.delta -= self.untaxed[line.milestone_id]
        self.untaxed[line.milestone_id] = 0.0
        self.ended |= line.milestone_id

    # -- afterwards ---------------------------------------------------------------------------------------

    def check(self):
        """The request did what its lines say, and nothing else."""
        self.after = Contract(self.machine)
        self.check_untouched()
        self.check_milestones()
        self.check_taxes()
        self.check_sums()
        self.check_claims()
        self.check_impact()

    def check_untouched(self):
        before, after = self.before, self.after
        for line, values in before.lines.items():
            assert after.lines.get(line) == values, f"{line.name} was altered: {values} became {after.lines.get(line)}"
        assert after.documents == before.documents, "a change order altered a document"
        created = self.machine.milestones.browse([line.created_milestone_id.id for line in self.added])
        for line in after.lines.keys() - before.lines.keys():
            assert line.billing_milestone_id in self.touched | created, f"{line.name} belongs to no changed milestone"
        for milestone, state in before.states.items():
            if milestone not in self.touched:
                assert milestone.state == state, f"{milestone.name} is untouched, and {milestone.state}"

    def check_milestones(self):
        for milestone, untaxed in self.untaxed.items():
            equal(self.currency, milestone.amount_untaxed, untaxed, f"{milestone.name} after the change")
            equal(self.currency, self.after.milestones[milestone]["untaxed"], untaxed, f"lines of {milestone.name}")
        for line, amount in self.added.items():
            added = line.created_milestone_id
            equal(self.currency, added.amount_untaxed, amount, f"added {added.name}")
            assert added.state == "draft", f"{added.name} begins {added.state}"
        for milestone in self.ended:
            assert milestone.state == "cancelled", f"{milestone.name} ended, and is {milestone.state}"
            left = {key: amount for key, amount in self.after.milestones[milestone].items() if self.count(amount)}
            assert not left, f"{milestone.name} is cancelled, and {left} is left of it"
        assert set(self.after.milestones) - set(self.before.milestones) == {
            line.created_milestone_id for line in self.added
        }, "milestones came about that no line adds"

    def check_taxes(self):
        """What moves keeps its taxes, to the smallest unit of each; what is added has its rates, rounded."""
        for group, adding in self.groups:
            before, after = Counter(), Counter()
            for milestone in group:
                before.update(self.before.milestones[milestone])
                after.update(self.after.milestones[milestone])
            if adding:
                after.update(self.after.milestones[adding.created_milestone_id])
            for key in before.keys() | after.keys():
                equal(self.currency, after[key], before[key], f"{label(key)} of what was moved")
        moved = {line.id for line in self.request.line_ids if line.action in ("split", "merge", "cancel")}
        for line in self.after.lines.keys() - self.before.lines.keys():
            if line.change_line_id.id in moved:
                continue
            rest = self.after.milestones[line.billing_milestone_id]
            if line.is_reduction and not self.count(rest["untaxed"]):
                left = {label(key): amount for key, amount in rest.items() if self.count(amount)}
                assert not left, f"{line.name} leaves nothing but {left}"
                continue
            for tax in line.tax_ids:
                amount = self.after.lines[line]["taxes"].get(tax.id, 0.0)
                off = self.count(amount) - line.price_subtotal * tax.amount / 100 / self.currency.rounding
                assert abs(off) <= 0.51, f"{tax.name} of {line.price_subtotal} is {amount}"

    def check_sums(self):
        """The order moved by what the milestones moved; free lines keep what they are worth."""
        before, after, order = self.before, self.after, self.machine.order
        equal(self.currency, after.amounts["amount_untaxed"], before.amounts["amount_untaxed"] + self.delta, "untaxed")
        sums = after.milestone_sum()
        sums.subtract(before.milestone_sum())
        for key, name in {"untaxed": "amount_untaxed", "tax": "amount_tax", "total": "amount_total"}.items():
            equal(self.currency, after.amounts[name] - before.amounts[name], sums[key], f"{name} by the milestones")
            total = sum(milestone[name] for milestone in self.machine.milestones)
            equal(self.currency, total, after.milestone_sum()[key], f"{name} of the milestones")
        for tax in before.taxes.keys() | after.taxes.keys():
            equal(self.currency, after.taxes[tax] - before.taxes[tax], sums[tax.id], f"{tax.name} by the milestones")
        equal(self.currency, order.milestone_revised_amount, after.milestone_sum()["untaxed"], "revised contract")

    def check_claims(self):
        request, before, after = self.request, self.before, self.after
        total = after.amounts["amount_total"] - before.amounts["amount_total"]
        equal(self.currency, request.amount_delta, self.delta, "amount of the change")
        equal(self.currency, request.total_delta, total, "amount of the change with taxes")
        assert request.change_order_number == len(before.change_orders) + 1, "number of the change order"
        assert request.state == "approved" and request.applied_on

    def check_impact(self):
        """What was shown to the client is what came of it."""
        impact = json.loads(self.request.accepted_approval_id.snapshot)["impact"]
        sums = {
            "revised": self.after.milestone_sum()["untaxed"],
            "this_change": self.delta,
            "total": self.request.total_delta,
            "original": self.machine.memory.original,
            "approved_changes": self.before.milestone_sum()["untaxed"] - self.machine.memory.original,
        }
        for name, amount in sums.items():
            equal(self.currency, float(impact[name]), amount, f"{name} of the impact")
        rows = {row["id"]: row for row in impact["rows"] if row["id"]}
        for milestone, (name, date) in self.before.plan.items():
            row = rows.pop(milestone.id, None)
            if row is None:
                assert self.before.states[milestone] == "cancelled", f"{milestone.name} is missing in the impact"
                continue
            self.check_side(row["before"], name, self.before.milestones[milestone]["untaxed"], date)
            if milestone in self.ended:
                assert (row["kind"], row["after"]) == ("cancelled", {}), f"{milestone.name} in the impact: {row}"
            else:
                self.check_milestone_side(row["after"], milestone)
                assert row["kind"] == ("same" if row["before"] == row["after"] else "changed"), f"kind of {row}"
        assert not rows, f"no milestones of the contract: {rows}"
        shown = [row["after"] for row in impact["rows"] if row["kind"] == "added"]
        for line in self.added:
            milestone = line.created_milestone_id
            found = next(
                side
                for side in shown
                if side["name"] == milestone.name
                and self.count(float(side["untaxed"])) == self.count(milestone.amount_untaxed)
            )
            shown.remove(found)
            self.check_milestone_side(found, milestone)
        assert not shown, f"no milestones came of {shown}"

    def check_milestone_side(self, side, milestone):
        date = fields.Date.to_string(milestone.contract_date) or ""
        self.check_side(side, milestone.name, milestone.amount_untaxed, date)

    def check_side(self, side, name, untaxed, date):
        assert (side["name"], side["contract_date"]) == (name, date), f"the impact says {side} of {name}, {date}"
        equal(self.currency, float(side["untaxed"]), untaxed, f"{name} in the impact")

    def count(self, amount):
        return units(self.currency, amount)

    # -- what is agreed from then on -------------------------------------------------------------------------

    def remember(self, memory):
        """The revised contract is what everything is compared with from now on."""
        memory.amounts = {**self.after.amounts, **self.after.taxes}
        memory.planned = {milestone: amounts["untaxed"] for milestone, amounts in self.after.milestones.items()}
        memory.changes.append(self.delta)
        for milestone, amount in self.reduced.items():
            approval = milestone.approval_ids.filtered(lambda approval: approval.decision == "approved").sorted("id")
            memory.reduced[approval[-1]] += amount


def label(key):
    return key if isinstance(key, str) else f"tax {key}"


def written_against(request):
    """What the milestones of a request look like: when that is not what it was written for, it is refused."""
    return [
        (
            milestone.id,
            milestone.name,
            milestone.contract_date,
            units(milestone.currency_id, milestone.amount_untaxed),
            milestone.state if milestone.state in ("approved", "cancelled") else "",
        )
        for milestone in (request.line_ids.milestone_id | request.line_ids.target_id).sorted("id")
    ]
