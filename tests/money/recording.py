"""Steps that remember what was drawn for them, so that a life can be lived again."""

from functools import wraps

from hypothesis import stateful


def rule(**drawn):
    """Like Hypothesis' own."""
    return lambda step: stateful.rule(**drawn)(recorded(step))


def initialize(**drawn):
    """Like Hypothesis' own."""
    return lambda step: stateful.initialize(**drawn)(recorded(step))


def recorded(step):
    @wraps(step)
    def remember(machine, **drawn):
        machine.steps.append((step.__name__, drawn))
        return step(machine, **drawn)

    return remember


def live_again(machine, steps):
    """Take steps that another machine took, and end the life; what is not possible here is left out.

    :raises AssertionError: that of the first broken invariant
    """
    rules = {rule.function.__name__: rule for rule in machine.rules}
    try:
        for name, drawn in steps:
            if name not in rules or all(precondition(machine) for precondition in rules[name].preconditions):
                getattr(machine, name)(**drawn)
                machine.money_is_right()
    finally:
        machine.teardown()
