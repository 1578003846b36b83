from typing import Any, NamedTuple

MISSING = object()


class Item(NamedTuple):
    """A record of a list within a contract: a line, a milestone, a deliverable."""

    name: str


class Difference(NamedTuple):
    """One value that is not what was agreed; ``trail`` leads to it through keys and items."""

    trail: tuple
    agreed: Any
    current: Any


def find_differences(agreed, current, trail=()):
    """Yield each :class:`Difference` between two contracts, plain values as JSON knows them.

    Lists of dicts with an ``id`` are compared record by record, in whatever order; what is there on
    one side only is ``MISSING`` on the other.
    """
    if isinstance(agreed, dict) and isinstance(current, dict):
        for key in [*agreed, *(key for key in current if key not in agreed)]:
            yield from find_differences(agreed.get(key, MISSING), current.get(key, MISSING), (*trail, key))
    elif _is_records(agreed) and _is_records(current):
        before, now = ({item["id"]: item for item in items} for items in (agreed, current))
        for key in [*before, *(key for key in now if key not in before)]:
            old, new = before.get(key, MISSING), now.get(key, MISSING)
            name = (new if old is MISSING else old).get("name") or str(key)
            yield from find_differences(old, new, (*trail, Item(name)))
    elif agreed != current:
        yield Difference(trail, agreed, current)


def _is_records(value):
    return isinstance(value, list) and all(isinstance(item, dict) and "id" in item for item in value)
