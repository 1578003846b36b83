from copy import deepcopy

from odoo.tests import BaseCase, tagged

from ..tools.proposal_difference import Change, compare, find_moved, match, strip_derived

SNAPSHOT = {
    "currency": "USD",
    "milestones": [
        {
            "id": 1,
            "name": "Design",
            "description": "",
            "contract_date": "2030-01-31",
            "after": [],
            "deliverables": [{"id": 11, "name": "Screens", "acceptance_criteria": "Contrast AA"}],
            "figures": {"untaxed": "1000.00", "total": "1150.00"},
        },
        {
            "id": 2,
            "name": "Build",
            "description": "",
            "contract_date": "2030-03-31",
            "after": [1],
            "deliverables": [],
            "figures": {"untaxed": "2000.00", "total": "2300.00"},
        },
        {
            "id": 3,
            "name": "Launch",
            "description": "",
            "contract_date": "",
            "after": [],
            "deliverables": [],
            "figures": {"untaxed": "500.00", "total": "575.00"},
        },
    ],
    "lines": [
        {"id": 21, "name": "Design", "quantity": "1", "price": "1000", "taxes": [5], "milestone": 1, "discount": "0"},
        {"id": 22, "name": "Build", "quantity": "1", "price": "2000", "taxes": [5], "milestone": 2, "discount": "0"},
        {"id": 23, "name": "Launch", "quantity": "1", "price": "500", "taxes": [5], "milestone": 3, "discount": "0"},
        {
            "id": 24,
            "name": "Travel",
            "quantity": "3",
            "price": "100",
            "discount": "0",
            "taxes": [5],
            "milestone": 0,
            "figures": {"untaxed": "300.00", "total": "345.00"},
        },
    ],
    "conditions": {"review": {"days": 10}, "cap": ""},
    "figures": {"untaxed": "3800.00", "tax": "570.00", "total": "4370.00"},
    "labels": {"taxes": {"5": "15 %", "6": "20 %"}, "conditions": {"review": "10 days", "cap": ""}},
    "terms": [{"title": "Review", "body": "<p>10 days</p>"}, {"title": "Payment", "body": "<p>30 days</p>"}],
}


@tagged("post_install", "-at_install")
class TestProposalDifference(BaseCase):
    """The difference between two revisions, without a database."""

    def setUp(self):
        super().setUp()
        self.before, self.after = deepcopy(SNAPSHOT), deepcopy(SNAPSHOT)

    def assertChanges(self, *changes):
        self.assertEqual(compare(self.before, self.after), list(changes))

    def test_nothing_changed(self):
        self.assertChanges()
        self.assertEqual(compare({}, {}), [])

    def test_a_milestone_is_added_and_nothing_else_moves(self):
        self.after["milestones"].insert(0, {"id": 9, "name": "Kickoff", "figures": {"untaxed": "10.00"}})
        for line in self.after["lines"]:
            line["milestone"] = line["milestone"] and line["milestone"] + 1
        self.after["milestones"][2]["after"] = [2]
        self.assertChanges(Change("milestone", "added", "Kickoff", after="10.00"))

    def test_an_added_milestone_is_told_with_date_scope_and_deliverables(self):
        self.after["milestones"].append(
            {
                "id": 9,
                "name": "Training",
                "description": "<p>Two days</p>",
                "contract_date": "2030-06-30",
                "deliverables": [{"id": 14, "name": "Slides", "acceptance_criteria": ""}, {"id": 15, "name": "Films"}],
                "figures": {"untaxed": "10.00"},
            }
        )
        self.assertChanges(
            Change("milestone", "added", "Training", after="10.00"),
            Change("milestone", "added", "Training", "contract_date", after="2030-06-30"),
            Change("milestone", "added", "Training", "description", after="<p>Two days</p>"),
            Change("deliverable", "added", "Slides", after="Slides", parent="Training"),
            Change("deliverable", "added", "Films", after="Films", parent="Training"),
        )

    def test_a_milestone_is_removed(self):
        del self.after["milestones"][2], self.after["lines"][2]
        self.assertChanges(Change("milestone", "removed", "Launch", before="500.00"))

    def test_a_milestone_is_renamed_and_its_line_with_it(self):
        self.after["milestones"][0]["name"] = self.after["lines"][0]["name"] = "Concept"
        self.assertChanges(
            Change("milestone", "renamed", "Concept", "name", "Design", "Concept"),
            Change("milestone", "changed", "Build", "after", "Design", "Concept"),
        )

    def test_the_one_that_moved_is_named_and_not_those_it_passed(self):
        milestones = self.after["milestones"]
        milestones.insert(0, milestones.pop())
        milestones[2]["after"] = [2]
        for line, number in zip(self.after["lines"], (2, 3, 1), strict=False):
            line["milestone"] = number
        self.assertChanges(Change("milestone", "moved", "Launch", "position", 3, 1))

    def test_dates_amounts_and_scope_of_a_milestone(self):
        build = self.after["milestones"][1]
        build.update(contract_date="2030-04-30", description="All screens", after=[])
        build["figures"] = {"untaxed": "2500.00", "total": "2875.00"}
        self.after["lines"][1]["price"] = "2500"
        self.assertChanges(
            Change("milestone", "changed", "Build", "contract_date", "2030-03-31", "2030-04-30"),
            Change("milestone", "changed", "Build", "untaxed", "2000.00", "2500.00"),
            Change("milestone", "changed", "Build", "total", "2300.00", "2875.00"),
            Change("milestone", "changed", "Build", "description", "", "All screens"),
            Change("milestone", "changed", "Build", "after", "Design", ""),
        )

    def test_a_date_that_was_open_is_set(self):
        self.after["milestones"][2]["contract_date"] = "2030-05-31"
        self.assertChanges(Change("milestone", "changed", "Launch", "contract_date", "", "2030-05-31"))

    def test_deliverables_are_added_removed_renamed_and_get_other_criteria(self):
        design, build = self.after["milestones"][:2]
        design["deliverables"] = [
            {"id": 11, "name": "All screens", "acceptance_criteria": "Contrast AAA"},
            {"id": 12, "name": "Prototype", "acceptance_criteria": ""},
        ]
        self.assertChanges(
            Change("deliverable", "added", "Prototype", after="Prototype", parent="Design"),
            Change("deliverable", "renamed", "All screens", "name", "Screens", "All screens", "Design"),
            Change(
                "deliverable", "changed", "All screens", "acceptance_criteria", "Contrast AA", "Contrast AAA", "Design"
            ),
        )
        design["deliverables"], build["deliverables"] = [], [{"id": 13, "name": "Code"}]
        self.assertChanges(
            Change("deliverable", "removed", "Screens", before="Screens", parent="Design"),
            Change("deliverable", "added", "Code", after="Code", parent="Build"),
        )

    def test_lines_are_added_removed_and_changed(self):
        travel = self.after["lines"][3]
        travel.update(quantity="4", taxes=[6], figures={"untaxed": "400.00", "total": "480.00"})
        self.assertChanges(
            Change("line", "changed", "Travel", "quantity", "3", "4"),
            Change("line", "changed", "Travel", "taxes", "15 %", "20 %"),
            Change("line", "changed", "Travel", "untaxed", "300.00", "400.00"),
        )
        travel.update(id=99, name="Hotel")
        self.assertChanges(
            Change("line", "removed", "Travel", before="300.00"), Change("line", "added", "Hotel", after="400.00")
        )

    def test_a_line_goes_under_a_milestone(self):
        self.after["lines"][3]["milestone"] = 2
        changes = compare(self.before, self.after)
        self.assertIn(Change("line", "changed", "Travel", "milestone", "", "Build"), changes)

    def test_other_taxes_of_a_milestone_are_told_though_its_line_is_not(self):
        self.after["lines"][1]["taxes"] = [6]
        self.assertChanges(Change("milestone", "changed", "Build", "taxes", "15 %", "20 %"))

    def test_totals_and_currency(self):
        self.after["figures"]["total"] = "4000.00"
        self.after["currency"] = "EUR"
        self.assertChanges(
            Change("total", "changed", "", "total", "4370.00", "4000.00"),
            Change("total", "changed", "", "currency", "USD", "EUR"),
        )

    def test_conditions_are_told_in_words(self):
        self.after["conditions"]["review"] = {"days": 5}
        self.after["labels"]["conditions"]["review"] = "5 days"
        self.assertChanges(Change("condition", "changed", "review", "review", "10 days", "5 days"))

    def test_the_words_of_a_condition_alone_are_no_change(self):
        self.after["labels"]["conditions"]["review"] = "dix jours"
        self.assertChanges()

    def test_clauses(self):
        self.after["terms"] = [
            {"title": "Review", "body": "<p>5 days</p>"},
            {"title": "Retention", "body": "<p>5 %</p>"},
        ]
        self.assertChanges(
            Change("clause", "changed", "Review", "body", "<p>10 days</p>", "<p>5 days</p>"),
            Change("clause", "removed", "Payment", "body", "<p>30 days</p>", None),
            Change("clause", "added", "Retention", "body", None, "<p>5 %</p>"),
        )

    def test_what_extensions_add_is_compared_by_name(self):
        self.before["requirements"] = [{"id": 1, "name": "R1", "statement": "Fast"}, {"id": 2, "name": "R2"}]
        self.after["requirements"] = [{"id": 1, "name": "R1", "statement": "Faster"}, {"id": 3, "name": "R3"}]
        self.after["insurance"] = "Full"
        self.assertChanges(
            Change("insurance", "changed", "", "", None, "Full"),
            Change("requirements", "removed", "R2", before="R2"),
            Change("requirements", "added", "R3", after="R3"),
            Change("requirements", "changed", "R1", "statement", "Fast", "Faster"),
        )

    def test_rows_made_anew_are_paired_by_name_one_to_one(self):
        old = [{"id": 1, "name": "A"}, {"id": 2, "name": "A"}, {"id": 3, "name": "B"}]
        new = [{"id": 7, "name": "A"}, {"id": 3, "name": "C"}, {"id": 8, "name": "A"}, {"id": 9, "name": "A"}]
        pairs, removed, added = match(old, new)
        self.assertEqual([(first["id"], second["id"]) for first, second in pairs], [(1, 7), (3, 3), (2, 8)])
        self.assertEqual((removed, added), ([], [new[3]]))

    def test_an_id_counts_for_more_than_a_name(self):
        old = [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]
        new = [{"id": 1, "name": "B"}, {"id": 2, "name": "A"}]
        pairs, _removed, _added = match(old, new)
        self.assertEqual([(first["id"], second["id"]) for first, second in pairs], [(1, 1), (2, 2)])

    def test_the_fewest_rows_explain_a_new_order(self):
        old = [{"id": number, "name": str(number)} for number in range(1, 7)]
        for order, moved in (
            ([1, 2, 3, 4, 5, 6], []),
            ([2, 3, 4, 5, 6, 1], [1]),
            ([6, 1, 2, 3, 4, 5], [6]),
            ([1, 4, 3, 2, 5, 6], [3, 4]),
            ([6, 5, 4, 3, 2, 1], None),
        ):
            with self.subTest(order=order):
                new = [dict(old[number - 1]) for number in order]
                found = find_moved(old, new, match(old, new)[0])
                if moved is None:
                    self.assertEqual(len(found), 5)
                else:
                    self.assertEqual(sorted(row["id"] for row in found), moved)

    def test_what_makes_a_proposal_the_same(self):
        """Ids, figures, names and rendered text are no part of it; everything else is."""
        for change in (
            lambda snapshot: snapshot.update(requirements=[], insurance="", bond={"amount": 0}),
            lambda snapshot: snapshot["milestones"][0].pop("description"),
            lambda snapshot: snapshot["milestones"][0].update(id=77),
            lambda snapshot: snapshot["figures"].update(total="0.00"),
            lambda snapshot: snapshot["labels"]["taxes"].update({"5": "VAT"}),
            lambda snapshot: snapshot.update(terms=[]),
        ):
            snapshot = deepcopy(SNAPSHOT)
            change(snapshot)
            self.assertEqual(strip_derived(snapshot), strip_derived(SNAPSHOT))
        for change in (
            lambda snapshot: snapshot["milestones"].reverse(),
            lambda snapshot: snapshot["milestones"][0]["deliverables"][0].update(acceptance_criteria=""),
            lambda snapshot: snapshot["lines"][0].update(price="1"),
            lambda snapshot: snapshot["conditions"].update(cap="1"),
        ):
            snapshot = deepcopy(SNAPSHOT)
            change(snapshot)
            self.assertNotEqual(strip_derived(snapshot), strip_derived(SNAPSHOT))
