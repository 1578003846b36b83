from datetime import date, timedelta

from odoo import fields, models
from odoo.tools import format_date

# More milestones than this are drawn by month, quarter or year.
MAX_ROWS = 36
PERIODS = {"month": 1, "quarter": 3, "year": 12}


class SaleOrder(models.Model):
    """The milestones of an order on a line of time, for its portal page and its PDF."""

    _inherit = "sale.order"

    def _get_timeline(self):
        """Return what draws the timeline, or an empty dict when fewer than two days are known.

        :return: dict of ``start`` and ``end`` (days), ``rows`` and ``undated``. A row has ``name``, ``day`` (text),
            ``before`` and ``width`` (percent of the time, summing to 100 at most), ``done`` and ``late``
        """
        self.ensure_one()
        milestones = self.sudo().milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        milestones = milestones.sorted(lambda milestone: (milestone.sequence, milestone.id))
        dated = milestones.filtered("contract_date")
        if not dated:
            return {}
        days = dated.mapped("contract_date")
        start = min(fields.Date.context_today(self, self.date_order), min(days))
        end = max(max(days), start + timedelta(days=1))
        bars = self._get_timeline_bars(milestones, start)
        if len(bars) > MAX_ROWS:
            bars = self._group_timeline_bars(bars, start, end)
        span = (end - start).days
        return {
            "start": start,
            "end": end,
            "undated": milestones - dated if len(milestones) <= MAX_ROWS else milestones.browse(),
            "rows": [{**bar, **self._place_timeline_bar(bar, start, span)} for bar in bars],
        }

    def _get_timeline_bars(self, milestones, start):
        """Return a bar per dated milestone: from what it follows, or the one before, to its date."""
        today = fields.Date.context_today(self)
        previous, bars = start, []
        for number, milestone in enumerate(milestones, 1):
            day = milestone.contract_date
            if not day:
                continue
            follows = [other.contract_date for other in milestone.predecessor_ids if other.contract_date]
            begin = min(max(follows, default=previous), day)
            bars.append(
                {
                    "name": f"{number}. {milestone.name}",
                    "begin": begin,
                    "finish": day,
                    "day": format_date(self.env, day),
                    "done": milestone.state == "approved",
                    "late": milestone.state != "approved" and day < today and milestone.order_state == "sale",
                }
            )
            previous = day
        return bars

    def _group_timeline_bars(self, bars, start, end):
        """Draw periods instead of milestones: the shortest that make a picture of bounded height."""
        months = (end.year - start.year) * 12 + end.month - start.month + 1
        period = next((name for name, size in PERIODS.items() if months / size <= MAX_ROWS), "year")
        groups = {}
        for bar in bars:
            groups.setdefault(self._get_period_start(bar["finish"], period), []).append(bar)
        grouped = []
        for first, members in sorted(groups.items())[:MAX_ROWS]:
            last = max(bar["finish"] for bar in members)
            count = self.env._("%s milestones", len(members)) if len(members) > 1 else self.env._("1 milestone")
            grouped.append(
                {
                    "name": self._name_period(first, period),
                    "begin": max(first, start),
                    "finish": last,
                    "day": count,
                    "done": all(bar["done"] for bar in members),
                    "late": any(bar["late"] for bar in members),
                }
            )
        return grouped

    def _get_period_start(self, day, period):
        size = PERIODS[period]
        return date(day.year, (day.month - 1) // size * size + 1, 1)

    def _name_period(self, first, period):
        if period == "year":
            return str(first.year)
        pattern = "MMMM y" if period == "month" else "QQQ y"
        return format_date(self.env, first, date_format=pattern)

    def _place_timeline_bar(self, bar, start, span):
        before = 100.0 * (bar["begin"] - start).days / span
        until = 100.0 * (bar["finish"] - start).days / span
        width = max(until - before, 1.5)
        before = min(before, 100.0 - width)
        return {"before": round(before, 2), "width": round(width, 2), "rest": round(100.0 - before - width, 2)}
