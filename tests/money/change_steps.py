"""The steps of a life that concern change requests."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from odoo.fields import Command

from tests.money.changes import OPEN_STATES, Application, Change, changes, prepare_lines, written_against
from tests.money.recording import rule

INDEX = st.integers(0, 7)
OPEN_AT_ONCE = 2


class ChangeSteps:
    """Rules that :class:`tests.money.machine.ContractMachine` has besides its own."""

    def live(self):
        return self.milestones.filtered(lambda milestone: milestone.state != "cancelled")

    def billed(self):
        return self.live().filtered(lambda milestone: milestone.state == "approved" and milestone.invoice_line_ids)

    def open_requests(self):
        return self.order.change_request_ids.filtered(lambda request: request.state in OPEN_STATES).sorted("id")

    def describe_added(self):
        """What became a milestone of its own has no deliverables until the team says some."""
        for milestone in self.live().filtered(lambda milestone: not milestone.deliverable_ids):
            milestone.deliverable_ids = [Command.create({"name": "Work"})]

    @precondition(lambda self: len(self.open_requests()) < OPEN_AT_ONCE)
    @rule(drawn=changes())
    def write_change(self, drawn):
        self.step_write_change(drawn)

    @precondition(lambda self: self.live())
    @rule(drawn=changes(), meanwhile=st.sampled_from([None, None, "submit", "approve"]))
    def change_contract(self, drawn, meanwhile):
        """From the idea to its approval at once; the work on a milestone may go on meanwhile."""
        request = self.step_write_change(drawn)
        open_milestones = request.line_ids.milestone_id & self.unapproved()
        if meanwhile and open_milestones:
            action = self.case._submit if meanwhile == "submit" else self.case._approve
            self.step(f"{meanwhile} what is to change", lambda: action(open_milestones[0]))
        if request:
            self.approve_request(request)

    @precondition(lambda self: self.billed())
    @rule(index=INDEX, share=st.sampled_from([0.0, 0.1, 1 / 3, 0.9, 1.0]), presented=st.booleans())
    def reduce_billed(self, index, share, presented):
        """Less is agreed of what is billed, whatever became of its bill."""
        billed = self.billed()
        milestone = billed[index % len(billed)]
        place = [*self.live()].index(milestone)
        drawn = (Change("change", place, 0, -share, 0 if share else -1, 0, 0, False),)
        request = self.step_write_change(drawn)
        if presented and request:
            self.step("present change", request.action_submit)
        elif request:
            self.approve_request(request)

    @precondition(lambda self: self.open_requests())
    @rule(index=INDEX)
    def approve_change(self, index):
        self.approve_request(self.pick(self.open_requests(), index))

    @precondition(lambda self: self.open_requests())
    @rule(index=INDEX, how=st.sampled_from(["present", "ask", "decline", "reject", "take back", "withdraw", "refresh"]))
    def handle_change(self, index, how):
        request = self.pick(self.open_requests(), index)
        actions = {
            "present": request.action_submit,
            "ask": lambda: request.sudo()._request_changes(self.answer(request, "Cheaper.")),
            "decline": lambda: request.sudo()._reject(self.answer(request, "Too late.")),
            "reject": lambda: request.action_reject("Not now."),
            "take back": request.action_withdraw,
            "withdraw": request.action_cancel,
            "refresh": request.action_refresh_base,
        }
        if self.step(f"{how} change", actions[how]) and how == "refresh":
            self.memory.written[request] = written_against(request)

    @precondition(lambda self: self.order.change_order_ids)
    @rule(index=INDEX)
    def approve_change_again(self, index):
        """The second click of the client changes nothing."""
        request = self.pick(self.order.change_order_ids, index)
        evidence = self.case._evidence(
            request, consent="Agreed.", snapshot_hash=request.accepted_approval_id.snapshot_hash
        )
        taken = self.step("approve change again", lambda: request.sudo()._approve(evidence))
        assert not taken, f"{request.name} was applied twice"

    def step_write_change(self, drawn):
        """Write a request; return it, or none when it was refused."""
        before = self.order.change_request_ids
        self.step("write change", lambda: self.write_request(drawn))
        return self.order.change_request_ids - before

    def write_request(self, drawn):
        request = self.env["sale.change.request"].create(
            {
                "order_id": self.order.id,
                "title": "Another wish",
                "reason": "The client wants it.",
                "line_ids": [Command.create(values) for values in prepare_lines(self, drawn)],
            }
        )
        self.memory.written[request] = written_against(request)

    def answer(self, request, comment):
        return {**self.case._evidence(request, consent=comment), "comment": comment}

    def approve_request(self, request):
        """Present it if need be, and have it approved; it does what its lines say, or nothing at all."""
        if request.state != "submitted" and not self.step("present change", request.action_submit):
            return
        changed = written_against(request) != self.memory.written[request]
        if not changed and not request._is_snapshot_current():
            shown = self.case._evidence(request, consent="Agreed.")
            taken = self.step("approve what was not shown", lambda: request.sudo()._approve(shown))
            assert not taken, f"{request.name} was approved, and something else was shown"
            self.step("show change again", request.sudo()._renew_round)
        application = Application(self, request)
        evidence = self.case._evidence(request, consent="Agreed.")
        if not self.step("approve change", lambda: request.sudo()._approve(evidence)):
            return
        self.memory.renew()
        assert not changed, f"{request.name} was applied to milestones that changed since it was written"
        for line in request.line_ids:
            self.count(f"applied: {line.action}")
        for milestone in application.reduced:
            self.count(f"reduced: {application.billing[milestone]}")
        application.check()
        application.remember(self.memory)
        self.describe_added()
