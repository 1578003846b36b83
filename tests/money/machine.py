"""A contract that lives at random: whatever is done in whatever order, the money stays right.

The machine draws a contract (currency, rounding, taxes, way of planning, terms) and then steps of
salespeople, clients, accountants and crons. A step that the addon refuses changes nothing; after
every step all invariants are checked, and at the end of a life everything is brought to its end:
approved, billed, and compared with what was agreed.
"""

import gc
import sys
from collections import Counter
from contextlib import contextmanager

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition
from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.tools import mute_logger

from tests.money import contracts, invariants
from tests.money.change_steps import ChangeSteps
from tests.money.invariants import bills
from tests.money.recording import initialize, rule

INDEX = st.integers(0, 7)


@contextmanager
def must(what):
    """What may not be refused, by the database neither: a refusal is a broken invariant."""
    try:
        yield
    except (UserError, IntegrityError) as error:
        raise AssertionError(f"not so: {what} ({error})") from error


class LeftToAccountants(Exception):
    """Nothing that is done with whole documents ends this life: line by line, an accountant does."""


class ContractMachine(ChangeSteps, RuleBasedStateMachine):
    """``case`` is an Odoo test case: it lends its database, its company and its helpers."""

    case = None
    statistics = Counter()  # taken and refused steps of all lives

    def __init__(self):
        super().__init__()
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

    def end(self):
        try:
            if self.is_beyond_cap():
                assert not self.step("finish beyond the cap", self.finish_all), "more than the agreed cap was billed"
                return
            with must("the contract comes to its end"):
                self.finish_all()
        except LeftToAccountants:
            self.count("left to accountants")
            self.money_is_right()
            return
        self.money_is_right()
        invariants.check_completion(self)
        with must("all is settled"):
            self.settle()
        for _contract in self.each():
            invariants.check_settled(self)

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
        currency = self.order.currency_id
        amount = share and max(currency.round(self.order.retention_withheld * share), currency.rounding)
        self.step("release retention", lambda: self.order._release_retention(amount=amount, announce=False))

    # -- documents -----------------------------------------------------------------------------------

    @precondition(lambda self: self.moves("draft"))
    @rule(index=INDEX)
    def post(self, index):
        self.step("post", lambda: self.pick(self.moves("draft"), index).action_post())

    @precondition(lambda self: self.moves("draft"))
    @rule(index=INDEX, how=st.sampled_from(["cancel", "delete", "lower", "raise", "take off"]))
    def change_draft(self, index, how):
        draft = self.pick(self.moves("draft"), index)
        actions = {
            "take off": lambda: self.take_off(draft, index),
            "cancel": draft.button_cancel,
            "delete": draft.with_context(force_delete=True).unlink,
            "lower": lambda: self.edit(draft, index, 0.7),
            "raise": lambda: self.edit(draft, index, 1.1),
        }
        self.step(f"{how} draft", actions[how])

    def take_off(self, draft, index):
        """Take a milestone off an invoice of several."""
        lines = draft.invoice_line_ids.filtered(lambda line: line.display_type == "product")
        milestone = self.pick(lines.billing_milestone_id, index)
        if draft.move_type != "out_invoice" or len(lines.billing_milestone_id) == 1:
            raise UserError("Delete it, or edit it.")
        lines.filtered(lambda line: line.billing_milestone_id == milestone).unlink()

    def edit(self, draft, index, factor):
        lines = self.agreed_lines(draft)
        line = self.pick(lines, index)
        before = {item: item.amount_currency for item in lines}
        line.price_unit = line.price_unit * factor
        if all(item.amount_currency == before[item] for item in lines):
            # agreed are untaxed amounts; a price with taxes that moves nothing but its tax is its editor's own
            raise UserError("Rounded, it is what it was.")
        # with taxes included and rounded globally, a lower price can move a unit to another line
        sign = draft.direction_sign  # what reduces an invoice counts when it reduces it by less
        self.memory.edited.update(lines)
        self.memory.raised.update(
            item
            for item in lines
            if sign * item.amount_currency > sign * before[item]
            or (self.is_deducted(item) and abs(item.amount_currency) > abs(before[item]))
        )

    def is_deducted(self, item):
        """Whether the line recovers an advance, or is a reduction: with more of it, less than nothing may be billed."""
        return item.sale_line_ids.is_milestone_advance or item.sale_line_ids.price_subtotal < 0

    def agreed_lines(self, document):
        """The lines of milestones and advances; a free line may be billed at any price, as on any order."""
        lines = document.invoice_line_ids.filtered(lambda line: line.display_type == "product")
        return lines.filtered(
            lambda line: line.billing_milestone_id or line.sale_line_ids.filtered("is_milestone_advance")
        )

    @precondition(lambda self: self.moves("posted"))
    @rule(index=INDEX)
    def reset_to_draft(self, index):
        document = self.pick(self.moves("posted"), index)
        if self.step("reset", document.button_draft) and document.move_type == "out_refund":
            # what it gave back may have been retained again meanwhile
            for memory in self.memories:
                memory.retainable = max(memory.retainable, memory.order.retention_retained)

    @precondition(lambda self: self.moves("cancel"))
    @rule(index=INDEX)
    def revive(self, index):
        self.step("revive", lambda: self.pick(self.moves("cancel"), index).button_draft())

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([0.1, 1 / 3, 0.5, 0.9]), post=st.booleans())
    def credit_a_price(self, index, share, post):
        def reduce(refund):
            (refund.invoice_line_ids.filtered("product_id") - self.agreed_lines(refund)).unlink()
            for line in self.agreed_lines(refund):
                line.price_unit = line.price_unit * share

        invoice = self.pick(self.invoices(), index)
        self.step("credit a price", lambda: self.case._credit(invoice, edit=reduce, post=post))

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX)
    def credit_a_quantity(self, index):
        def reduce(refund):
            line = self.pick(self.agreed_lines(refund), index)
            (refund.invoice_line_ids.filtered("product_id") - line).unlink()
            line.quantity = line.quantity * 0.5

        invoice = self.pick(self.invoices(), index)
        self.step("credit a quantity", lambda: self.case._credit(invoice, edit=reduce))

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, how=st.sampled_from(["post", "draft", "bill again"]))
    def credit_in_full(self, index, how):
        invoice = self.pick(self.invoices(), index)
        self.step(
            f"credit in full, {how}",
            lambda: self.case._credit(invoice, post=how == "post", modify=how == "bill again"),
        )

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([None, 0.5, 1 / 3]), is_own=st.booleans())
    def pay(self, index, share, is_own):
        """Pay an invoice, or a part of it: in its currency, or all of it in the company's own."""
        invoice = self.pick(self.invoices(), index)
        own = invoice.company_currency_id
        if is_own and own != invoice.currency_id:
            self.step("pay in own currency", lambda: self.case._pay(invoice, currency_id=own.id))
        else:
            amount = share and max(invoice.amount_residual * share, invoice.currency_id.rounding)
            self.step("pay", lambda: self.case._pay(invoice, amount))

    @precondition(lambda self: self.invoices())
    @rule(index=INDEX, share=st.sampled_from([1.0, 1.0, 0.5, 1.2]))
    def pay_online(self, index, share):
        """The client pays what the portal asks for, a part of it, or what somebody asked for too much."""
        invoice = self.pick(self.invoices(), index)

        def pay():
            asked = invoice._get_invoice_next_payment_values().get("next_amount_to_pay")
            if not asked:
                raise UserError("Nothing is asked for.")
            self.case._pay_online(invoice, invoice.currency_id.round(max(asked * share, invoice.currency_id.rounding)))

        self.step("pay online", pay)

    @precondition(lambda self: self.moves("posted", "out_refund"))
    @rule(index=INDEX, post=st.booleans())
    def reverse_credit_note(self, index, post):
        """Somebody reverses a credit note: what it took back is billed again, by a document of its own."""
        refund = self.pick(self.moves("posted", "out_refund"), index)

        def reverse():
            invoice = self.case._credit(refund, post=post)
            if not post:  # it may be more than is left of the plan, and is refused then when posted
                self.memory.edited.update(invoice.line_ids)
                self.memory.raised.update(invoice.line_ids)

        self.step("reverse credit note", reverse)

    @precondition(lambda self: self.order.currency_id != self.order.company_id.currency_id)
    @rule(rate=st.sampled_from([1.3, 1.7, 2.1]))
    def change_rate(self, rate):
        contracts.set_rate(self.order.currency_id, self.order.company_id, rate)

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

    # -- the end ----------------------------------------------------------------------------------------

    def finish_all(self):
        """Withdraw open changes, lift holds, and bring all contracts to their ends.

        What one credits of a common invoice, the other one bills again.
        """
        for _contract in self.each():
            self.open_requests().action_cancel()
            self.live().filtered("on_hold").action_release()
        for _turn in range(3):
            for _contract in self.each():
                self.finish()
            if not any(self.underbilled() or self.due() for _contract in self.each()):
                return

    def finish(self):
        """Approve, bill what is missing, and post."""
        self.drop_drafts()
        for is_last in (False, False, True):  # what one waits for, or loses again, another one credits
            for milestone in self.live():
                self.finish_documents()
                if milestone.state != "approved":
                    self.case._approve(milestone)
                self.finish_milestone(milestone, is_last)
        self.finish_documents()
        if any(line.qty_to_invoice for line in self.order.order_line if not line.is_downpayment):
            self.order._create_invoices(final=True)
            self.finish_documents()
        # what Odoo wants of its own down payments goes by quantities, whatever was credited: look at the amounts
        if any(units < 0 for units in self.count_down_payments()):
            self.step("take back down payment", lambda: self.order._create_invoices(final=True))
            self.finish_documents()
        self.return_advance()
        if any(self.count_down_payments()):
            raise LeftToAccountants("Odoo's own down payment was credited after an invoice deducted it")
        self.env.flush_all()

    def count_down_payments(self):
        """Return what posted documents ask for (negative) of each of Odoo's own down payments, and do not deduct."""
        for line in self.order.order_line.filtered(lambda line: line.is_downpayment and not line.is_milestone_advance):
            posted = line.invoice_lines.filtered(lambda bill: bill.parent_state == "posted")
            yield invariants.units(line.currency_id, sum(posted.mapped("amount_currency")))

    def finish_milestone(self, milestone, is_last):
        """Bill what is missing, and credit what was reduced; what is beyond the cap waits for what others credit."""
        for _turn in range(6):  # what is credited in full is billed again, without what was reduced
            if milestone in self.underbilled():
                milestone.action_rebill()
            if milestone not in self.due():
                break
            if not self.step("finish milestone", milestone.action_create_invoices):
                if "is not to exceed" in self.refusal and not is_last:
                    break
                self.credit_by_hand(milestone)
            self.finish_documents()

    def credit_by_hand(self, milestone):
        """A reduction that no single invoice bears any more: credit one in full, or take a partial credit note back.

        What is credited in full is billed again without what was reduced, and the reduction is credited
        where its invoice bears it again.
        """
        if "credit it by hand" not in self.refusal:
            raise UserError(self.refusal)
        refusals = []
        documents = invariants.product_lines(milestone).move_id.filtered(lambda move: move.state == "posted")
        for document in (documents - self.credited_by_hand).sorted(lambda move: (move.move_type, -move.id)):
            if document.move_type == "out_refund":
                taken = self.step("take back credit note", lambda move=document: self.take_back(move))
            else:
                taken = self.step("credit by hand", lambda move=document: self.credit_all(move))
            if taken:
                return
            refusals.append(f"{document.name}: {self.refusal}")
        raise LeftToAccountants(f"{milestone.name}: {refusals}")

    def credit_all(self, invoice):
        self.credited_by_hand |= self.case._credit(invoice)

    def take_back(self, document):
        document.button_draft()
        document.button_cancel()

    def return_advance(self):
        """What no milestone is left to recover is credited, to the last unit of each tax."""
        for line in self.order.order_line.filtered("is_milestone_advance"):
            left = line._get_advance_balance()
            if self.order.currency_id.is_zero(left.untaxed):
                continue
            self.count("advance returned")
            invoice = line._get_advance_bills().move_id.filtered(
                lambda move: move.move_type == "out_invoice" and move.state == "posted"
            )[:1]
            values = line._prepare_recovery_line(self.milestones[:1], left, 1)

            def give_back(refund, line=line, values=values):
                kept = refund.invoice_line_ids.filtered(lambda item: item.sale_line_ids == line)
                # Odoo's down payments may have no product
                (refund.invoice_line_ids.filtered(lambda item: item.display_type == "product") - kept).unlink()
                engine = self.env["account.tax"]
                data = engine._reverse_quantity_base_line_extra_tax_data(values["extra_tax_data"])
                kept.write({"quantity": 1.0, "price_unit": values["price_unit"], "extra_tax_data": data})

            self.case._credit(invoice, edit=give_back)

    def finish_documents(self):
        self.drop_drafts(refunds=False)
        if self.step("post documents", lambda: self.moves("draft").action_post()):
            return
        if "is not to exceed" not in self.refusal:
            raise UserError(self.refusal)
        # made before a reduction, of which only the rest can be billed
        drafts = self.moves("draft", "out_invoice").filtered(
            lambda move: any(map(invariants.waiting_reductions, move.line_ids.billing_milestone_id))
        )
        drafts.with_context(force_delete=True).unlink()
        self.moves("draft").action_post()

    def drop_drafts(self, refunds=True):
        """Delete what was begun and is not needed; credit notes that are made from here on are."""
        drafts = self.moves("draft")
        unneeded = drafts.filtered(
            lambda move: (
                (refunds and move.move_type == "out_refund")
                or self.is_unneeded_advance(move)
                or self.bills_free_lines_twice(move)
                or invariants.raised_drafts(self, move.line_ids)
                or move.amount_total < 0  # edited to less than it recovers of an advance
            )
        )
        unneeded.with_context(force_delete=True).unlink()

    def is_unneeded_advance(self, move):
        """Whether the document asks for an advance that no other one deducts; Odoo's own deducts drafts, too."""
        lines = move.line_ids.filtered(lambda line: line.display_type == "product")
        others = bills(lines.sale_line_ids.invoice_lines) - lines
        is_advance = all(line.sale_line_ids.is_downpayment and line.quantity > 0 for line in lines)
        return move.move_type == "out_invoice" and is_advance and not any(line.quantity < 0 for line in others)

    def bills_free_lines_twice(self, move):
        """Whether lines beside the plan are billed again: Odoo does so when the draft of before was cancelled."""
        lines = move.line_ids.sale_line_ids.filtered(
            lambda line: not (line.billing_milestone_id or line.is_downpayment)
        )
        return any(line.product_uom_id.compare(line.qty_invoiced, line.product_uom_qty) > 0 for line in lines)

    def release_all(self):
        for memory in self.memories:
            if memory.order.retention_withheld > 0:
                memory.order._release_retention(announce=False)

    def settle(self):
        """Release what is retained, set credit notes and payments against invoices, and have the rest paid."""
        self.release_all()
        terms = self.all_moves("posted").line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        )
        payments = self.env["account.move.line"].search(
            [
                ("account_id", "in", terms.account_id.ids),
                ("partner_id", "=", self.order.partner_invoice_id.commercial_partner_id.id),
                ("payment_id", "!=", False),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
            ]
        )
        for lines in (terms | payments).grouped("account_id").values():
            lines.reconcile()
        self.release_all()  # a credit note may be set against what was released, instead of what it credits
        for document in self.all_moves("posted"):  # a credit note of what was paid is paid back
            for _part in range(1 + len(self.memories)):  # trade, and what each contract retained
                if not document.currency_id.is_zero(document.amount_residual):
                    self.case._pay(document)
        self.env.flush_all()
