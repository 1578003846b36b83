class ContextMark:
    """Marks, in the context, what the addon itself does where everybody else is refused.

    It travels in the context, where no client can put an object of Python.
    """

    KEY = None

    @classmethod
    def is_under_way(cls, env):
        return isinstance(env.context.get(cls.KEY), cls)

    @classmethod
    def mark(cls, records):
        return records.with_context(**{cls.KEY: cls()})

    @classmethod
    def unmark(cls, records):
        return records.with_context(**{cls.KEY: None})


class AgreedChange(ContextMark):
    """What an approved change request does to a contract that is agreed otherwise."""

    KEY = "milestone_agreed_change"

    @classmethod
    def mark(cls, records):
        """Return ``records`` with the mark, and without Odoo's notes about lines added to a confirmed order."""
        return super().mark(records).with_context(sale_no_log_for_new_lines=True)


class OrderTransition(ContextMark):
    """What the buttons of an order do to its state, after all that belongs to it was checked."""

    KEY = "milestone_order_transition"


class Rearrangement(ContextMark):
    """Order lines that move one after the other: whoever moves them arranges them when all have moved."""

    KEY = "milestone_rearrangement"
