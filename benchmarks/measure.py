"""Time and count queries of what runs inside Odoo."""

import gc
import time
from contextlib import contextmanager


class Measurement:
    seconds = 0.0
    queries = 0


@contextmanager
def measured(env):
    """Give wall time (seconds) and number of SQL queries of the block, its flush included.

    What ran before leaves neither caches nor garbage that the block would have to clear.
    """
    env.flush_all()
    env.invalidate_all()
    gc.collect()
    result, queries, start = Measurement(), env.cr.sql_log_count, time.perf_counter()
    yield result
    env.flush_all()
    result.seconds = time.perf_counter() - start
    result.queries = env.cr.sql_log_count - queries


def quantile(values, share):
    """Return the value below which ``share`` (0–1) of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
