from datetime import date, timedelta
from fractions import Fraction

from odoo.tests import BaseCase, tagged

from ..tools import milestone_schedule as schedule


@tagged("post_install", "-at_install")
class TestSchedule(BaseCase):
    """Dates and shares of regular plans."""

    def test_biweekly(self):
        self.assertEqual(
            schedule.get_dates(date(2027, 1, 4), 2, "week", count=3),
            [date(2027, 1, 4), date(2027, 1, 18), date(2027, 2, 1)],
        )

    def test_month_ends_are_counted_from_the_start(self):
        self.assertEqual(
            schedule.get_dates(date(2027, 1, 31), 1, "month", count=4),
            [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)],
        )
        self.assertEqual(schedule.get_dates(date(2028, 1, 30), 1, "month", count=2)[1], date(2028, 2, 29))

    def test_last_day_of_month(self):
        self.assertEqual(
            schedule.get_dates(date(2027, 2, 10), 1, "month", count=3, last_day=True),
            [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)],
        )
        self.assertEqual(schedule.get_dates(date(2027, 2, 10), 1, "week", count=1, last_day=True), [date(2027, 2, 10)])

    def test_end_date_is_the_last_possible_one(self):
        self.assertEqual(len(schedule.get_dates(date(2027, 1, 1), 1, "month", until=date(2027, 6, 1))), 6)
        self.assertEqual(len(schedule.get_dates(date(2027, 1, 1), 1, "month", until=date(2027, 5, 31))), 5)
        self.assertEqual(schedule.get_dates(date(2027, 1, 1), 1, "month", until=date(2026, 12, 31)), [])

    def test_what_is_no_schedule(self):
        for every, unit, count, until in (
            (0, "week", 3, None),
            (-1, "week", 3, None),
            (1, "week", None, None),
            (1, "week", 0, None),
            (1, "fortnight", 3, None),
            (1, "week", None, date(9000, 1, 1)),
            (1, "week", schedule.MAX_MILESTONES + 1, None),
        ):
            with self.subTest(every=every, unit=unit, count=count), self.assertRaises(ValueError):
                schedule.get_dates(date(2027, 1, 1), every, unit, count=count, until=until)

    def test_chained_dates(self):
        dates = schedule.get_chained_dates(
            date(2027, 1, 31),
            [(1, "month", "previous"), (2, "week", "previous"), (0, "day", "none"), (1, "day", "previous")]
            + [(1, "month", "order")],
        )
        self.assertEqual(dates, [date(2027, 2, 28), date(2027, 3, 14), None, date(2027, 3, 15), date(2027, 2, 28)])

    def test_days_off_move_forward(self):
        closed = {date(2027, 1, day) for day in (1, 2, 3)}
        self.assertEqual(schedule.move_to_working_day(date(2027, 1, 1), closed.__contains__), date(2027, 1, 4))
        self.assertEqual(schedule.move_to_working_day(date(2027, 1, 5), closed.__contains__), date(2027, 1, 5))
        self.assertEqual(schedule.move_to_working_day(date(2027, 1, 1), lambda day: True), date(2027, 1, 1))

    def test_days_off_at_the_end_move_back(self):
        closed = {date(2027, 1, day) for day in (1, 2, 3, 9, 10)}
        for day, first, last, moved in (
            (9, 1, 10, 8),
            (9, 1, 11, 11),
            (10, 9, 10, 10),
            (2, 1, 3, 2),
            (5, 1, 5, 5),
        ):
            with self.subTest(day=day, first=first, last=last):
                days = [date(2027, 1, number) for number in (day, first, last)]
                self.assertEqual(
                    schedule.move_to_working_day(days[0], closed.__contains__, *days[1:]), date(2027, 1, moved)
                )

    def test_the_calendar_ends(self):
        start = date(2027, 1, 1)
        for number, unit in ((2147483647, "week"), (2000000000, "day"), (1000000, "month"), (10**30, "day")):
            with self.subTest(number=number, unit=unit), self.assertRaises(schedule.DateTooFar):
                schedule.add_delay(start, number, unit)
        for refused in (
            lambda: schedule.get_dates(start, 2147483647, "week", count=2),
            lambda: schedule.get_chained_dates(start, [(2000000000, "week", "order")]),
            lambda: schedule.move_to_working_day(date.max, lambda day: True),
        ):
            with self.assertRaises(schedule.DateTooFar):
                refused()
        self.assertEqual(schedule.get_dates(date(9999, 12, 1), 1, "month", until=date.max), [date(9999, 12, 1)])

    def test_weights(self):
        self.assertEqual(schedule.get_weights("equal", 3), [1, 1, 1])
        self.assertEqual(schedule.get_weights("front", 4), [4, 3, 2, 1])
        self.assertEqual(schedule.get_weights("back", 4), [1, 2, 3, 4])
        with self.assertRaises(ValueError):
            schedule.get_weights("middle", 3)

    def test_percentages_are_exact(self):
        self.assertEqual(schedule.get_percentages([1, 1, 1]), [Fraction(100, 3)] * 3)
        self.assertEqual(schedule.get_percentages([0.1, 0.2]), [Fraction(100, 3), Fraction(200, 3)])
        for count in range(1, 200):
            percentages = schedule.get_percentages(schedule.get_weights("back", count))
            self.assertEqual(sum(percentages), 100)
            self.assertEqual(schedule.get_remainder([float(percentage) for percentage in percentages]), 0.0)
        for weights in ([], [0, 0], [1, -1]):
            with self.assertRaises(ValueError):
                schedule.get_percentages(weights)

    def test_remainder(self):
        self.assertEqual(schedule.get_remainder([30, 40, 30]), 0.0)
        self.assertEqual(schedule.get_remainder([0.1] * 1000), 0.0)
        self.assertAlmostEqual(schedule.get_remainder([33.33, 33.33, 33.33]), 0.01)
        self.assertAlmostEqual(schedule.get_remainder([33.3333, 33.3333, 33.3333]), 0.0001)
        self.assertAlmostEqual(schedule.get_remainder([60, 50]), -10)

    def test_a_described_delay_leads_back(self):
        start = date(2027, 1, 31)
        self.assertEqual(schedule.describe_delay(start, date(2027, 2, 28)), (1, "month"))
        self.assertEqual(schedule.describe_delay(start, date(2027, 2, 14)), (2, "week"))
        self.assertEqual(schedule.describe_delay(start, date(2027, 2, 1)), (1, "day"))
        self.assertEqual(schedule.describe_delay(start, start), (0, "day"))
        for days in range(800):
            day = start + timedelta(days=days)
            self.assertEqual(schedule.add_delay(start, *schedule.describe_delay(start, day)), day)
