"""What changed between two snapshots of a proposal; nothing here knows Odoo.

A snapshot is what ``sale.order._prepare_proposal_snapshot()`` returns. Whoever shows the changes
translates them: see ``sale.order.revision._describe_changes()``.
"""

from bisect import bisect_left
from typing import Any, NamedTuple

# Keys of a snapshot that follow from the rest, name it, or only tell records apart.
DERIVED_KEYS = frozenset({"id", "figures", "labels", "terms"})
# Lists and values that are compared in a way of their own; every other key is compared as it comes.
KNOWN_KEYS = DERIVED_KEYS | {"milestones", "lines", "conditions", "currency"}
MILESTONE_FIELDS = ("contract_date", "untaxed", "total", "description", "after")
ADDED_MILESTONE_FIELDS = ("contract_date", "description")
DELIVERABLE_FIELDS = ("acceptance_criteria",)
LINE_FIELDS = ("quantity", "price", "discount", "taxes", "untaxed", "milestone")
TOTALS = ("untaxed", "tax", "total")
# Their words say all of them: a share of the order is told as a percentage, and so is the advance that it is.
CONDITIONS_IN_WORDS = frozenset({"prepayment"})


class Change(NamedTuple):
    """One difference. ``before`` is None for what was added, ``after`` for what was removed."""

    subject: str  # "milestone", "deliverable", "line", "condition", "clause", "total", or a key of the snapshot
    kind: str  # "added", "removed", "renamed", "moved" or "changed"
    name: str  # of the milestone, line …, as it is now; the name of a removed one
    field: str = ""  # which value changed
    before: Any = None
    after: Any = None
    parent: str = ""  # the milestone of a deliverable


def strip_derived(values):
    """Return a snapshot without what follows from the rest of it: what is left makes it the same proposal.

    Nor does it matter whether a value is empty or missing: what an extension adds later, and an older
    snapshot does not know, is no change as long as it is empty.
    """
    if isinstance(values, dict):
        stripped = {key: strip_derived(value) for key, value in values.items() if key not in DERIVED_KEYS}
        return {key: value for key, value in stripped.items() if value or value is True}
    if isinstance(values, list):
        return [strip_derived(value) for value in values]
    return values


def compare(before, after):
    """Return the changes between two snapshots as a list of :class:`Change`, what matters most first."""
    return [
        *_compare_totals(before, after),
        *_compare_milestones(before, after),
        *_compare_lines(before, after),
        *_compare_others(before, after),
        *_compare_conditions(before, after),
        *_compare_clauses(before, after),
    ]


def _compare_totals(before, after):
    old, new = before.get("figures", {}), after.get("figures", {})
    yield from _compare_fields("total", "", old, new, TOTALS)
    if before.get("currency") != after.get("currency"):
        yield Change("total", "changed", "", "currency", before.get("currency"), after.get("currency"))


def _compare_milestones(before, after):
    old, new = before.get("milestones", []), after.get("milestones", [])
    pairs, removed, added = match(old, new)
    yield from (Change("milestone", "removed", row["name"], before=_get_amount(row)) for row in removed)
    for row in added:
        yield from _tell_added_milestone(row)
    positions = {id(row): number for rows in (old, new) for number, row in enumerate(rows, 1)}
    moved = {id(row) for row in find_moved(old, new, pairs)}
    numbers = {"before": _name_positions(old), "after": _name_positions(new)}
    for first, second in pairs:
        name = second["name"]
        if first["name"] != name:
            yield Change("milestone", "renamed", name, "name", first["name"], name)
        if id(second) in moved:
            yield Change("milestone", "moved", name, "position", positions[id(first)], positions[id(second)])
        yield from _compare_fields(
            "milestone",
            name,
            {**_flatten(first), "after": _name_all(first.get("after", ()), numbers["before"])},
            {**_flatten(second), "after": _name_all(second.get("after", ()), numbers["after"])},
            MILESTONE_FIELDS,
        )
        yield from _compare_deliverables(first, second)


def _tell_added_milestone(row):
    """Tell all that is new with a milestone: its price, when and what."""
    name = row["name"]
    yield Change("milestone", "added", name, after=_get_amount(row))
    for field in ADDED_MILESTONE_FIELDS:
        if row.get(field):
            yield Change("milestone", "added", name, field, after=row[field])
    for deliverable in row.get("deliverables", []):
        yield Change("deliverable", "added", deliverable["name"], after=deliverable["name"], parent=name)


def _compare_deliverables(before, after):
    parent = after["name"]
    pairs, removed, added = match(before.get("deliverables", []), after.get("deliverables", []))
    yield from (Change("deliverable", "removed", row["name"], before=row["name"], parent=parent) for row in removed)
    yield from (Change("deliverable", "added", row["name"], after=row["name"], parent=parent) for row in added)
    for first, second in pairs:
        if first["name"] != second["name"]:
            yield Change("deliverable", "renamed", second["name"], "name", first["name"], second["name"], parent)
        yield from _compare_fields("deliverable", second["name"], first, second, DELIVERABLE_FIELDS, parent)


def _compare_lines(before, after):
    """Compare order lines; a line that only is the amount of its milestone is told with the milestone."""
    old = [row for row in before.get("lines", []) if not _is_milestone_itself(row, before)]
    new = [row for row in after.get("lines", []) if not _is_milestone_itself(row, after)]
    pairs, removed, added = match(old, new)
    yield from (Change("line", "removed", row["name"], before=_get_amount(row)) for row in removed)
    yield from (Change("line", "added", row["name"], after=_get_amount(row)) for row in added)
    for first, second in pairs:
        if first["name"] != second["name"]:
            yield Change("line", "renamed", second["name"], "name", first["name"], second["name"])
        yield from _compare_fields(
            "line", second["name"], _name_line(first, before), _name_line(second, after), LINE_FIELDS
        )
    yield from _compare_taxes_of_milestones(before, after)


def _compare_taxes_of_milestones(before, after):
    old, new = _get_milestone_taxes(before), _get_milestone_taxes(after)
    pairs, _removed, _added = match(before.get("milestones", []), after.get("milestones", []))
    for first, second in pairs:
        taxes = old.get(id(first)), new.get(id(second))
        if None not in taxes and taxes[0] != taxes[1]:
            yield Change("milestone", "changed", second["name"], "taxes", *taxes)


def _get_milestone_taxes(snapshot):
    """Return the taxes of milestones whose only line is told with them, by the identity of their rows."""
    milestones = snapshot.get("milestones", [])
    return {
        id(milestones[row["milestone"] - 1]): _name_line(row, snapshot)["taxes"]
        for row in snapshot.get("lines", [])
        if _is_milestone_itself(row, snapshot)
    }


def _compare_others(before, after):
    """Compare what extensions put into the snapshot: lists of rows by name, anything else as a value."""
    for key in sorted((before.keys() | after.keys()) - KNOWN_KEYS):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if _is_table(old) and _is_table(new):
            yield from _compare_rows(key, old or [], new or [])
        else:
            yield Change(key, "changed", "", "", old, new)


def _compare_rows(subject, old, new):
    pairs, removed, added = match(old, new)
    yield from (Change(subject, "removed", row["name"], before=row["name"]) for row in removed)
    yield from (Change(subject, "added", row["name"], after=row["name"]) for row in added)
    for first, second in pairs:
        fields = sorted((first.keys() | second.keys()) - DERIVED_KEYS)
        yield from _compare_fields(subject, second["name"], first, second, fields)


def _compare_conditions(before, after):
    old, new = before.get("conditions", {}), after.get("conditions", {})
    for key in sorted(old.keys() | new.keys()):
        words = _get_text(before, key), _get_text(after, key)
        is_same = words[0] == words[1] if key in CONDITIONS_IN_WORDS else old.get(key) == new.get(key)
        if not is_same:
            yield Change("condition", "changed", key, key, *words)


def _compare_clauses(before, after):
    old = {row["title"]: row["body"] for row in before.get("terms", [])}
    new = {row["title"]: row["body"] for row in after.get("terms", [])}
    for title in [*old, *(title for title in new if title not in old)]:
        if old.get(title) == new.get(title):
            continue
        kind = "added" if title not in old else "removed" if title not in new else "changed"
        yield Change("clause", kind, title, "body", old.get(title), new.get(title))


def match(old, new):
    """Pair the rows of two lists: by id, then by name; what is left was removed or added.

    :return: tuple of pairs (in the order of ``new``), removed and added rows
    """
    partners, taken = {}, set()
    for get_key in (lambda row: row.get("id"), lambda row: row["name"]):
        known = {}
        for row in old:
            if id(row) not in taken and get_key(row):
                known.setdefault(get_key(row), []).append(row)
        for row in new:
            candidates = known.get(get_key(row))
            if id(row) not in partners and candidates:
                partners[id(row)] = candidates.pop(0)
                taken.add(id(partners[id(row)]))
    pairs = [(partners[id(row)], row) for row in new if id(row) in partners]
    removed = [row for row in old if id(row) not in taken]
    return pairs, removed, [row for row in new if id(row) not in partners]


def find_moved(old, new, pairs):
    """Return the rows of ``new`` that changed places with others: the fewest that explain the new order."""
    places = {id(row): place for place, row in enumerate(old)}
    sequence = [places[id(first)] for first, _second in pairs]
    # the longest run of rows that kept their order; all others moved
    ends, links, tails = [], [], []
    for index, place in enumerate(sequence):
        length = bisect_left(ends, place)
        ends[length:] = [place, *ends[length + 1 :]]
        links.append(tails[length - 1] if length else None)
        tails[length:] = [index, *tails[length + 1 :]]
    kept, index = set(), tails[-1] if tails else None
    while index is not None:
        kept.add(index)
        index = links[index]
    return [second for index, (_first, second) in enumerate(pairs) if index not in kept]


def _compare_fields(subject, name, old, new, fields, parent=""):
    for field in fields:
        before, after = old.get(field), new.get(field)
        if (before or None) != (after or None):
            yield Change(subject, "changed", name, field, before, after, parent)


def _flatten(row):
    return {**row, **row.get("figures", {})}


def _get_amount(row):
    return row.get("figures", {}).get("untaxed")


def _get_text(snapshot, condition):
    text = snapshot.get("labels", {}).get("conditions", {}).get(condition)
    return text if text is not None else snapshot.get("conditions", {}).get(condition)


def _name_positions(milestones):
    return {number: row["name"] for number, row in enumerate(milestones, 1)}


def _name_all(numbers, names):
    return ", ".join(names.get(number, str(number)) for number in numbers)


def _name_line(row, snapshot):
    """Return an order line with names in place of numbers and ids."""
    taxes = snapshot.get("labels", {}).get("taxes", {})
    names = _name_positions(snapshot.get("milestones", []))
    return {
        **_flatten(row),
        "taxes": ", ".join(taxes.get(str(tax), str(tax)) for tax in row.get("taxes", ())),
        "milestone": names.get(row.get("milestone"), ""),
    }


def _is_milestone_itself(row, snapshot):
    """Whether a line is nothing but the amount of its milestone: the only one, by the same name."""
    number = row.get("milestone")
    if not number or row["name"] != snapshot["milestones"][number - 1]["name"]:
        return False
    return sum(other.get("milestone") == number for other in snapshot["lines"]) == 1


def _is_table(value):
    return not value or (isinstance(value, list) and all(isinstance(row, dict) and "name" in row for row in value))
