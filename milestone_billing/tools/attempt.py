import logging

from psycopg2 import OperationalError

_logger = logging.getLogger(__name__)


def attempt(env, step):
    """Run ``step`` in a savepoint: what comes with an act of the client must not undo that act.

    :param step: callable without arguments
    :return: the error that undid the step, or None
    :raises OperationalError: on a lock or a conflict with another transaction, so that the whole is retried
    """
    try:
        with env.cr.savepoint():
            step()
    except OperationalError:
        raise
    except Exception as error:
        _logger.warning("A step was undone, and what it came with stands.", exc_info=True)
        env.invalidate_all()
        return error
    return None
