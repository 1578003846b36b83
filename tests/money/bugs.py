"""Bugs that the random lives have to find, seeded one at a time.

Each is a slip that a change of the addon could bring: the test plays lives with it until an
invariant is broken, and fails when none is.
"""

from contextlib import contextmanager
from unittest.mock import patch

BUGS = {}


def bug(function):
    """Register a generator function that seeds a bug while it is suspended."""
    BUGS[function.__name__] = contextmanager(function)
    return function


def replace(case, model, **methods):
    """Replace methods of a model; each gets the original method first."""
    owner = case.env.registry[model]

    def around(original, replacement):
        return lambda self, *args, **kwargs: replacement(lambda: original(self, *args, **kwargs), self, *args, **kwargs)

    return patch.multiple(
        owner, **{name: around(getattr(owner, name), replacement) for name, replacement in methods.items()}
    )


@bug
def gate_opens_on_submission(case):
    """What the client is still looking at can be invoiced."""
    with replace(
        case,
        "sale.milestone",
        _is_gate_open=lambda original, self: self.state in ("submitted", "approved") and not self.on_hold,
    ):
        yield


@bug
def hold_is_ignored(case):
    """A milestone on hold is invoiced."""
    with replace(case, "sale.milestone", _is_gate_open=lambda original, self: self.state == "approved"):
        yield


@bug
def plan_is_no_limit(case):
    """A draft may be edited upwards and posted."""
    with replace(case, "sale.milestone", _check_billed_within_plan=lambda original, self: None):
        yield


@bug
def agreed_lines_may_change(case):
    """Prices of a confirmed contract may be edited."""
    with replace(case, "sale.order.line", _check_frozen=lambda original, self, vals: None):
        yield


@bug
def amounts_are_not_fixed(case):
    """Each invoice is rounded by itself instead of taking its share of the rounded order."""
    with replace(case, "sale.order", _fix_agreed_amounts=lambda original, self: None):
        yield


@bug
def credited_is_due_again(case):
    """A credit note opens the gate by itself."""

    def bills_that_count(original, self):
        bills = original()
        return bills if self._get_posted_invoice_lines()._get_billed_amount() > 0 else bills.browse()

    with replace(case, "sale.milestone", _get_current_bills=bills_that_count):
        yield


@bug
def all_is_billed_again(case):
    """After a partial credit, the whole line is billed again."""
    with replace(case, "sale.order.line", _get_billed_lines=lambda original, self: self.invoice_lines.browse()):
        yield


@bug
def billed_twice(case):
    """Nothing remembers that a milestone is billed already."""
    with (
        replace(case, "sale.milestone", _get_current_bills=lambda original, self: self.invoice_line_ids.browse()),
        replace(case, "account.move.line", _get_billing_round=lambda original, self: 0),
    ):
        yield


@bug
def evidence_chain_is_not_linked(case):
    """A review does not refer to the one before it."""
    with replace(case, "sale.approval", _get_previous_hash=lambda original, self: "0" * 64):
        yield


@bug
def shares_are_rounded_one_by_one(case):
    """Each share of a divided line is its percentage, rounded."""

    def naive(totals, weights):
        return [[round(total * weight / sum(weights)) for weight in weights] for total in totals]

    with patch("odoo.addons.milestone_billing.models.sale_order_split.apportion", naive):
        yield


@bug
def advance_is_recovered_again(case):
    """What was recovered already is not counted."""

    def asked_only(original, self, drafts=False):
        balance = original()
        for line in self.invoice_lines.filtered("advance_milestone_id"):
            if line.parent_state != "cancel" and line.move_type == "out_invoice":
                balance = balance.minus(line._get_taxed_amount())
        return balance.rounded(self.currency_id)

    def never(original, self):
        return None

    with replace(case, "sale.order.line", _get_advance_balance=asked_only, _check_advance_balance=never):
        yield


@bug
def retention_has_no_cap(case):
    """The maximum that was agreed is forgotten."""

    def uncapped(original, self, billed, contract=None):
        return self.currency_id.round(billed * self.milestone_retention_percentage / 100)

    with replace(case, "sale.order", _get_retention_target=uncapped):
        yield


@bug
def credit_notes_keep_the_retention(case):
    """A credit note gives nothing of the retention back."""
    with replace(case, "account.move", _get_retention_given_back=lambda original, self, order, base, invoice: 0.0):
        yield


def as_if_checked(original, self, *args):
    """Nobody compares the contract with what both sides looked at."""


@bug
def change_is_applied_twice(case):
    """What a change adds to a milestone is added again."""

    def twice(original, self, *args):
        return original() | original()

    with (
        replace(case, "sale.change.request.line", _share_amount=twice),
        replace(case, "sale.change.request", _check_revised=as_if_checked),
    ):
        yield


@bug
def change_alters_the_signed_line(case):
    """A change rewrites the line that was signed, and perhaps invoiced, instead of adding one."""

    def rewrite(original, self, source, target, amount, number):
        line = source.order_line_ids[:1]
        line._fix_change_amount(line.price_subtotal + amount)
        return line

    with (
        replace(case, "sale.change.request.line", _share_amount=rewrite),
        replace(case, "sale.change.request", _check_revised=as_if_checked),
    ):
        yield


@bug
def cancelled_milestone_keeps_its_amount(case):
    """A cancelled milestone is put aside, and its lines stay on the order."""

    def end_only(original, self, number):
        self._end_milestone(self.milestone_id)

    with replace(case, "sale.change.request.line", _apply_cancel=end_only):
        yield


@bug
def conflict_with_the_base_is_ignored(case):
    """A change is applied to milestones that are not what it was written for."""
    with replace(case, "sale.change.request.line", _get_base_conflict=lambda original, self: ""):
        yield


@bug
def reduction_is_never_credited(case):
    """What is taken from a billed milestone stays billed."""
    with replace(case, "sale.milestone", _get_due_reductions=lambda original, self: self.order_line_ids.browse()):
        yield


@bug
def reduction_is_credited_again(case):
    """Nothing remembers that a reduction was credited."""

    def all_of_them(original, self):
        bills = self._get_live_invoice_lines().filtered(lambda line: line._is_milestone_bill())
        is_billed = self._is_gate_open() and bills and "draft" not in bills.mapped("parent_state")
        return self.order_line_ids.filtered("is_reduction") if is_billed else self.order_line_ids.browse()

    with replace(case, "sale.milestone", _get_due_reductions=all_of_them):
        yield
