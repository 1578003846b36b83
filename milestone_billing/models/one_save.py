from contextlib import contextmanager

from .agreed_change import ContextMark


class OneSave(ContextMark):
    """A form that is saved row by row: whether rows wait for each other is seen when all are written."""

    KEY = "milestone_one_save"

    def __init__(self):
        self.rows = []

    @classmethod
    @contextmanager
    def of(cls, records):
        """Yield ``records`` to write on; afterwards check the rows that were postponed.

        :raises ValidationError: when rows wait for each other
        """
        marked = cls.mark(records)
        save = marked.env.context[cls.KEY]
        yield marked
        rows, save.rows = save.rows, None  # from now on nothing is postponed
        for row in rows:
            row.exists()._check_circle()

    @classmethod
    def postpone(cls, rows):
        """Return whether ``rows`` are checked later."""
        is_postponed = cls.is_under_way(rows.env) and rows.env.context[cls.KEY].rows is not None
        if is_postponed:
            rows.env.context[cls.KEY].rows.append(rows)
        return is_postponed
