"""A contract that lives at random: whatever is done in whatever order, the money stays right.

The machine draws a contract (currency, rounding, taxes, way of planning, terms) and then steps of
salespeople, clients, accountants and crons. A step that the addon refuses changes nothing; after
every step all invariants are checked, and at the end of a life everything is brought to its end:
approved, billed, and compared with what was agreed.
"""

import gc
import sys
from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from odoo.exceptions import UserError
from odoo.tools import mute_logger

from tests.money import contracts, invariants
from tests.money.change_steps import ChangeSteps
from tests.money.document_steps import DocumentSteps
from tests.money.ending import Ending, must
from tests.money.recording import initialize, rule

INDEX = st.integers(0, 7)


class ContractMachine(ChangeSteps, DocumentSteps, Ending, RuleBasedStateMachine):
    """``case`` is an Odoo test case: it lends its database, its company and its helpers."""

    case = None
    statistics = Counter()  # taken and refused steps of all lives

    def __init__(self):
        super().__init__()
        gc.collect()
        gc.freeze()  # what was there before this life is not looked through after each of its steps
        self.env = self.case.env
        self.life = self.env.cr.savepoint()
        self.count("lives")
        self.steps = []  # taken so far: names, and what was drawn for them
        self.memories = []  # of the contracts: all of one client
        self.memory = None  # of the one at hand
        self.credited_by_hand = self.env["account.move"]
        self.refusal = ""  # why the last refused step was refused

    def teardown(self):
        try:
            if self.order and not sys.exc_info()[0]:
                self.end()
        finally:
            self.env.cr.precommit.clear()
            self.env.cr.postcommit.clear()
            self.life.close(rollback=True)
            self.env.transaction.clear()

    @initialize(
        terms=contracts.terms(),
        billed=st.integers(0, 2),
        other=st.one_of(st.none(), st.none(), st.none(), contracts.terms()),
    )
    def agree(self, terms, billed, other):
        """Plan a quotation and have it confirmed, or two of one client; some lives begin in the middle."""
        agreed = contracts.alike(terms, other) if other else [terms]
        for terms in agreed:
            order, quoted = contracts.make_contract(self.case, terms)
            order.action_confirm()
            self.memory = invariants.Memory(order, quoted)
            self.memories.append(self.memory)
            self.memory.edited, self.memory.raised = self.memories[0].edited, self.memories[0].raised
        begun = self.env["sale.milestone"].union(*(self.milestones[:billed] for _contract in self.each()))
        if begun:
            with must("what is approved is billed"):
                self.case._approve(begun)
                begun.action_create_invoices()
                self.all_moves("draft").action_post()

    @invariant()
    def money_is_right(self):
        for _contract in self.each():
            invariants.check_all(self)
        gc.collect()

    # -- what is there ---------------------------------------------------------------------------------

    @property
    def order(self):
        return self.memory.order if self.memory else self.env["sale.order"]

    @property
    def milestones(self):
        return self.memory.milestones

    def each(self):
        """Take one contract at hand after the other; yield what is known of it."""
        at_hand = self.memory
        for memory in self.memories:
            self.memory = memory
            yield memory
        self.memory = at_hand

    def all_milestones(self):
        return self.env["sale.milestone"].union(*(memory.milestones for memory in self.memories))

    def all_moves(self, state=None):
        return self.env["account.move"].union(*(self.moves(state) for _contract in self.each())).sorted("id")

    def moves(self, state=None, move_type=None):
        """The documents of the contract at hand, oldest first; they may bill the other one, too."""
        moves = self.order.order_line.invoice_lines.move_id.sorted("id")
        return moves.filtered(
            lambda move: (not state or move.state == state) and (not move_type or move.move_type == move_type)
        )

    def invoices(self):
        return self.moves("posted", "out_invoice")

    def unapproved(self):
        return self.live().filtered(lambda milestone: milestone.state != "approved")

    def is_beyond_cap(self):
        """Whether changes led beyond what may be billed at all: another contract has to be made then."""
        cap = self.order.milestone_cap_amount
        return bool(cap) and self.order.currency_id.compare_amounts(self.order.amount_untaxed, cap) > 0

    def due(self):
        return self.milestones.filtered(lambda milestone: milestone.billing_state == "to_invoice")

    def underbilled(self):
        """The milestones of which something was billed, and something is missing."""
        return self.milestones.filtered(
            lambda milestone: (
                milestone.billing_state in ("invoiced", "partial", "paid", "credited")
                and milestone.currency_id.compare_amounts(invariants.net(milestone), milestone.amount_untaxed) < 0
            )
        )

    def pick(self, records, index):
        """One of the records; a step without any is refused, as a screen would not offer it."""
        if not records:
            raise UserError("There is nothing to do this to.")
        return records[index % len(records)]

    def step(self, name, action):
        """Take a step as a request of its own: wholly, or refused and without a trace.

        :return: whether it was taken
        """
        try:
            with self.env.cr.savepoint(), mute_logger("odoo.sql_db", "odoo.addons.milestone_billing"):
                action()
                self.env.flush_all()
        except UserError as error:
            self.env.invalidate_all()
            self.count(f"{name}, refused")
            self.refusal = str(error)
            return False
        self.count(name)
        return True

    def count(self, name):
        self.statistics[name] += 1

    # -- delivery and review ---------------------------------------------------------------------------

    @precondition(lambda self: self.unapproved())
    @rule(index=INDEX)
    def approve(self, index):
        self.step("approve", lambda: self.case._approve(self.pick(self.unapproved(), index)))

    @precondition(lambda self: self.live() - self.unapproved())
    @rule(index=INDEX)
    def approve_again(self, index):
        """The second click of an approver changes nothing."""
        milestone = self.pick(self.live() - self.unapproved(), index)
        evidence = self.case._evidence(milestone, snapshot_hash=milestone.accepted_approval_id.snapshot_hash)
        taken = self.step("approve again", lambda: milestone.sudo()._approve(evidence))
        assert not taken, f"{milestone.name} was approved twice"

    @rule(index=INDEX, how=st.sampled_from(["submit", "change", "withdraw", "revert", "hold", "release"]))
    def review(self, index, how):
        milestone = self.pick(self.milestones, index)
        comment = {"partner": self.case.approver, "method": "link", "comment": "Not yet."}
        actions = {
            "submit": lambda: self.case._submit(milestone),
            "change": lambda: milestone.sudo()._request_changes(comment),
            "withdraw": milestone.action_withdraw,
            "revert": lambda: milestone.action_revert_approval("By mistake."),
            "hold": lambda: milestone.action_hold("Dispute"),
            "release": milestone.action_release,
        }
        self.step(how, actions[how])

    # -- billing -------------------------------------------------------------------------------------

    @rule()
    def run_queue(self):
        """The cron, and again: the second run finds nothing to do."""
        self.step("run queue", self.case._run_queue)
        before = invariants.fingerprint(self)
        self.step("run queue again", self.case._run_queue)
        assert invariants.fingerprint(self) == before, "a second run of the queue did something"

    @precondition(lambda self: self.due())
    @rule(index=INDEX)
    def bill_by_hand(self, index):
        self.step("bill by hand", lambda: self.pick(self.due(), index).action_create_invoices())

    @precondition(lambda self: len(self.memories) > 1)
    @rule()
    def turn_to_other(self):
        """Take the other contract at hand."""
        self.memory = next(memory for memory in self.memories if memory is not self.memory)

    @precondition(lambda self: len(self.memories) > 1 and self.due())
    @rule()
    def bill_together(self):
        """What is due of all contracts comes on one invoice."""
        due = self.all_milestones().filtered(lambda milestone: milestone.billing_state == "to_invoice")
        self.step("bill together", lambda: due.action_create_invoices(grouping="customer"))

    @precondition(lambda self: any(line.qty_to_invoice for line in self.order.order_line))
    @rule()
    def bill_natively(self):
        self.step("bill natively", lambda: self.order._create_invoices(final=True))

    @precondition(lambda self: self.underbilled())
    @rule(index=INDEX)
    def rebill(self, index):
        milestone = self.pick(self.underbilled(), index)
        billed = invariants.posted_net(milestone)
        if self.step("rebill", milestone.action_rebill) and milestone._is_gate_open():
            due = sum(milestone.order_line_ids.mapped("untaxed_amount_to_invoice"))
            left = milestone.amount_untaxed - billed
            invariants.equal(milestone.currency_id, due, left, "what was credited is what is billed again")

    @precondition(lambda self: self.order.can_invoice_advance)
    @rule()
    def invoice_advance(self):
        self.step("invoice advance", self.order.action_invoice_advance)

    @precondition(lambda self: self.order.retention_withheld > 0)
    @rule(share=st.sampled_from([None, 0.3, 0.5]))
    def release_retention(self, share):
        currency, withheld = self.order.currency_id, self.order.retention_withheld
        amount = currency.round(withheld * share) or currency.rounding if share else withheld
        if self.step("release retention", lambda: self.order._release_retention(amount=amount, announce=False)):
            invariants.equal(currency, self.order.retention_withheld, withheld - amount, "what a release leaves")

    # -- disturbances ---------------------------------------------------------------------------------

    @rule(
        index=INDEX,
        how=st.sampled_from(["wizard, delivered", "wizard, percentage", "wizard, fixed", "edit line", "come back"]),
    )
    def disturb(self, index, how):
        """What Odoo's own screens allow on any order; on a contract some of it must be refused."""
        actions = {
            "edit line": lambda: self.edit_agreed_line(index),
            "come back": self.cancel_order_and_come_back,
        }
        if self.order.milestone_cap_amount and how in ("wizard, percentage", "wizard, fixed"):
            return  # Odoo's own advances take of the cap until the last bill deducts them
        taken = self.step(how, actions.get(how, lambda: self.bill_with_native_wizard(how.split()[-1], 10 * index)))
        assert not (taken and how == "edit line"), "an agreed line was changed"

    def bill_with_native_wizard(self, method, amount):
        values = {"advance_payment_method": method, "amount": amount, "fixed_amount": amount}
        wizard = self.env["sale.advance.payment.inv"].with_context(
            active_model="sale.order", active_ids=self.order.ids, active_id=self.order.id
        )
        wizard.create({"sale_order_ids": self.order.ids, **values}).create_invoices()

    def edit_agreed_line(self, index):
        lines = self.order.order_line.filtered("billing_milestone_id").filtered(lambda line: not line.display_type)
        changes = [{"price_unit": 7.77}, {"product_uom_qty": 7.0}, {"discount": 77.0}, {"billing_milestone_id": False}]
        self.pick(lines, index).write(changes[index % len(changes)])

    def cancel_order_and_come_back(self):
        self.order._action_cancel()
        self.order.action_draft()
        self.order.action_confirm()
