"""Dates and shares of a regular milestone plan; plain Python, nothing of Odoo in it."""

from datetime import date, timedelta
from fractions import Fraction

from dateutil.relativedelta import relativedelta

UNITS = ("day", "week", "month")
WEIGHTINGS = ("equal", "front", "back")
MAX_MILESTONES = 1000
# a hundred years
MAX_DELAYS = {"day": 36500, "week": 5200, "month": 1200}
# time zones know no later one
LAST_DAY = date.max - timedelta(days=2)
# nobody closes for longer; a calendar without any working day must not run for ever
MAX_CLOSED_DAYS = 366


class DateTooFar(ValueError):
    """A date that no calendar has: they end with the year 9999."""


class TooManyDates(ValueError):
    """A schedule of more than ``MAX_MILESTONES`` dates."""


def add_delay(day, number, unit):
    """Return ``day`` plus a number of days, weeks or months.

    A month has no 31st everywhere: the result is then its last day (31 January + 1 month = 28 or 29 February).

    :raises DateTooFar: when the calendar ends before
    """
    if unit not in UNITS:
        raise ValueError(f"Unknown unit: {unit!r}")
    try:
        return day + relativedelta(**{f"{unit}s": number})
    except (OverflowError, ValueError) as error:
        raise DateTooFar(f"{number} {unit}s after {day} the calendar has ended.") from error


def get_dates(start, every, unit, count=None, until=None, last_day=False):
    """Return the dates of a regular schedule, the first one being the start date itself.

    Every date is counted from the start and not from the date before: 31 January, 28 February, 31 March.

    :param date start: first date
    :param int every: number of units between two dates, 1 or more
    :param str unit: ``day``, ``week`` or ``month``
    :param int count: number of dates; or
    :param date until: last day on which a date may fall
    :param bool last_day: put every date on the last day of its month (months only)
    :raises ValueError: when a parameter makes no schedule
    :raises DateTooFar, TooManyDates: when it makes one that is too long
    """
    if every < 1:
        raise ValueError("The interval is at least 1.")
    if until is None and not count:
        raise ValueError("A schedule needs a number of dates or an end.")
    dates = []
    while len(dates) < (count or MAX_MILESTONES + 1):
        try:
            day = add_delay(start, every * len(dates), unit)
        except DateTooFar:
            if until is None:
                raise
            break
        if last_day and unit == "month":
            day += relativedelta(day=31)
        if until is not None and day > until:
            break
        dates.append(day)
        if len(dates) > MAX_MILESTONES:
            raise TooManyDates(f"More than {MAX_MILESTONES} dates.")
    return dates


def get_chained_dates(start, delays):
    """Return dates that follow each other; None where there is none.

    :param delays: per date ``(number, unit, reference)``; the reference is ``order`` (after the start),
        ``previous`` (after the last date before, or the start) or ``none`` (no date)
    :raises DateTooFar: when the calendar ends before one of them
    """
    dates, previous = [], start
    for number, unit, reference in delays:
        if reference == "none":
            dates.append(None)
            continue
        previous = add_delay(start if reference == "order" else previous, number, unit)
        dates.append(previous)
    return dates


def move_to_working_day(day, is_day_off, first=None, last=None):
    """Return the first day from ``day`` on that is no day off; where that is too late, the last one before it.

    :param is_day_off: function of a date
    :param date first, last: no day is moved behind ``last``, nor back before ``first``
    :return: ``day`` itself where there is no working day
    :raises DateTooFar: when the calendar ends before
    """
    for number in range(MAX_CLOSED_DAYS + 1):
        moved = add_delay(day, number, "day")
        if last and moved > last:
            break
        if not is_day_off(moved):
            return moved
    for number in range(1, min((day - first).days, MAX_CLOSED_DAYS) + 1) if last else ():
        moved = day - timedelta(days=number)
        if not is_day_off(moved):
            return moved
    return day


def get_weights(weighting, count):
    """Return whole-number weights: all the same, falling (front-loaded) or rising (back-loaded) by equal steps."""
    weights = {"equal": [1] * count, "front": range(count, 0, -1), "back": range(1, count + 1)}
    if weighting not in weights:
        raise ValueError(f"Unknown weighting: {weighting!r}")
    return list(weights[weighting])


def get_percentages(weights):
    """Return the shares of weights as percentages (0–100): exact fractions, so that three thirds are the whole.

    :param weights: numbers; a float counts as the decimal number that it shows
    :raises ValueError: when the weights have no positive sum
    """
    fractions = [Fraction(str(weight)) for weight in weights]
    total = sum(fractions)
    if total <= 0:
        raise ValueError("The weights have no sum to divide by.")
    return [100 * fraction / total for fraction in fractions]


def get_remainder(percentages):
    """Return what is missing to 100 % (negative: what is too much), as a float; 0.0 when nothing is.

    Percentages are floats as they were typed or computed: 0.00001 is no remainder, it is what rounding
    to some digits leaves. The shares are in the proportion of the percentages, so nothing gets lost.
    """
    remainder = 100 - sum(Fraction(percentage) for percentage in percentages)
    return float(remainder) if abs(remainder) > Fraction(1, 10**5) else 0.0


def describe_delay(previous, day):
    """Return ``(number, unit)`` that leads from ``previous`` to ``day`` in the longest unit that fits exactly."""
    months = (day.year - previous.year) * 12 + day.month - previous.month
    if months > 0 and add_delay(previous, months, "month") == day:
        return months, "month"
    days = (day - previous).days
    return (days // 7, "week") if days and days % 7 == 0 else (days, "day")
