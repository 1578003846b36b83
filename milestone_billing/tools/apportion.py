"""Divide whole units (cents) exactly, without any Odoo in it."""


def spread(total, weights):
    """Divide ``total`` units by ``weights``; each part is within one unit of its nominal share, the sum is ``total``.

    :param int total: any sign
    :param weights: integers whose sum is not 0
    :return: a list of integers
    """
    whole = sum(weights)
    parts, before, given = [], 0, 0
    for weight in weights:
        before += weight
        upto = (2 * total * before + whole) // (2 * whole)
        parts.append(upto - given)
        given = upto
    return parts


def apportion(totals, weights):
    """Divide several totals at once so that rows and columns are both exact.

    Every part is its nominal share rounded up or down; every row is its total; every column is the
    nominal sum of its parts rounded up or down, so exact where that is whole. Parts are rounded
    along cycles of the table, which changes neither rows nor columns, until no fraction is left.

    :param totals: integers of any sign, a row each
    :param weights: integers whose sum is positive, a column each
    :return: a list of integers per total
    """
    whole = sum(weights)
    table = [[total * weight // whole for weight in weights] for total in totals]
    slack = len(totals)  # the row that takes what columns are short of a whole unit
    fractions = _Fractions(whole)
    for column, weight in enumerate(weights):
        rests = [total * weight % whole for total in totals]
        rests.append(-sum(rests) % whole)
        for row, rest in enumerate(rests):
            if rest:
                for ceiled_row, ceiled_column in fractions.add(row, slack + 1 + column, rest):
                    if ceiled_row != slack:
                        table[ceiled_row][ceiled_column - slack - 1] += 1
    return table


class _Fractions:
    """Fractions of a table as a forest of rows and columns: a new one that closes a cycle is rounded away."""

    def __init__(self, whole):
        self.whole = whole
        self.neighbours = {}

    def add(self, row, column, value):
        """Add a fraction (0 < value < whole); return the (row, column) of those that were rounded up."""
        path = self._find_path(row, column)
        self._set(row, column, value)
        return self._round_along([*path, path[0]]) if path else []

    def _set(self, first, second, value):
        for one, other in ((first, second), (second, first)):
            if value in (0, self.whole):
                del self.neighbours[one][other]
            else:
                self.neighbours.setdefault(one, {})[other] = value

    def _find_path(self, start, end):
        """Return the nodes from ``start`` to ``end``, or nothing when they are not connected."""
        if start not in self.neighbours or end not in self.neighbours:
            return []
        origins, stack = {start: None}, [start]
        while stack:
            node = stack.pop()
            if node == end:
                path = []
                while node is not None:
                    path.append(node)
                    node = origins[node]
                return path[::-1]
            for neighbour in self.neighbours[node]:
                if neighbour not in origins:
                    origins[neighbour] = node
                    stack.append(neighbour)
        return []

    def _round_along(self, cycle):
        """Raise and lower the fractions of a cycle in turn, the shorter way, until one of them is whole."""
        edges = list(zip(cycle, cycle[1:], strict=False))
        raised, lowered = edges[::2], edges[1::2]
        up = self._get_room(raised, lowered)
        down = self._get_room(lowered, raised)
        step = up if up <= down else -down
        ceiled = []
        for sign, side in ((step, raised), (-step, lowered)):
            for first, second in side:
                value = self.neighbours[first][second] + sign
                self._set(first, second, value)
                if value == self.whole:
                    ceiled.append((min(first, second), max(first, second)))
        return ceiled

    def _get_room(self, raised, lowered):
        return min(
            min(self.whole - self.neighbours[first][second] for first, second in raised),
            min(self.neighbours[first][second] for first, second in lowered),
        )
