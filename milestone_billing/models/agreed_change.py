class AgreedChange:
    """Marks, in the context, what an approved change request does to a contract that is agreed otherwise.

    It travels in the context, where no client can put an object of Python.
    """

    KEY = "milestone_agreed_change"

    @classmethod
    def is_under_way(cls, env):
        return isinstance(env.context.get(cls.KEY), cls)

    @classmethod
    def unmark(cls, records):
        return records.with_context(**{cls.KEY: None})

    @classmethod
    def mark(cls, records):
        """Return ``records`` with the mark, and without Odoo's notes about lines added to a confirmed order."""
        return records.with_context(**{cls.KEY: cls(), "sale_no_log_for_new_lines": True})
