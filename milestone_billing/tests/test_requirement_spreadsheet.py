import csv
import io

from odoo.tests import tagged
from odoo.tools import file_open, mute_logger

from .requirement_common import RequirementCommon
from .test_spreadsheet import OPTIONS, XLSX

COLUMNS = [
    "name",
    "statement",
    "kind",
    "priority",
    "acceptance_criteria",
    "source",
    "deliverable_names",
]
HEADERS = ["Reference", "Statement", "Met By (Names)"]


@tagged("post_install", "-at_install")
class TestRequirementSpreadsheet(RequirementCommon):
    """Requirements come from a spreadsheet and go into one, through Odoo's own import and export."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.quotation = cls._create_contract(
            [
                {"name": "Design", "amount_untaxed": 1.0, "deliverable_ids": cls._deliverables("Plan", "Report")},
                {"name": "Build", "amount_untaxed": 2.0, "deliverable_ids": cls._deliverables("Site; test", "Report")},
            ],
            confirm=False,
        )

    def _import(self, content, file_type="text/csv", order=None, user=None, mapping=None):
        """Import a file as the screen does, in the columns that it suggests; return the error messages."""
        self.env.flush_all()
        context = {"default_order_id": order.id} if order else {}
        env = self.env(user=user or self.env.user, su=False)
        wizard = env["base_import.import"].with_context(**context)
        wizard = wizard.create({"res_model": "sale.requirement", "file": content, "file_type": file_type})
        preview = wizard.parse_preview(dict(OPTIONS))
        self.assertNotIn("error", preview)
        headers = preview["headers"]
        suggested = {int(number): "/".join(path) for number, path in preview["matches"].items()}
        names = mapping or [suggested.get(number) for number in range(len(headers))]
        self.assertTrue(all(names), f"{headers} are matched with {names}")
        with mute_logger("odoo.sql_db"):
            result = wizard.execute_import(names, headers, {**preview["options"], **OPTIONS})
        self.env.invalidate_all()
        return [message["message"] for message in result["messages"] if message["type"] == "error"]

    def _csv(self, *rows):
        file = io.StringIO()
        csv.writer(file).writerows(rows)
        return file.getvalue().encode()

    def _read(self, order):
        return [
            tuple(requirement[name] or "" for name in COLUMNS)
            for requirement in order.requirement_ids.sorted(lambda known: (known.sequence, known.id))
        ]

    def test_the_offered_templates_are_imported_as_they_are(self):
        found = []
        templates = self.env["sale.requirement"].with_context(default_order_id=self.order.id).get_import_templates()
        for template in templates:
            order = self._create_contract([], confirm=False)
            with file_open(template["template"].lstrip("/"), "rb") as file:
                content = file.read()
            file_type = XLSX if template["template"].endswith("xlsx") else "text/csv"
            self.assertEqual(self._import(content, file_type, order, self.users["salesperson"]), [])
            found.append(self._read(order))
        self.assertEqual(len(found), 2)
        self.assertEqual(found[0], found[1], "both formats say the same")
        self.assertEqual(
            found[0][0],
            ("R1", "Every page works on a phone", "quality", "must", "No page scrolls sideways", "Workshop", ""),
        )
        self.assertEqual([row[3] for row in found[0]], ["must", "must", "should", "wont"])

    def test_a_template_with_orders_fills_several_quotations(self):
        orders = self._create_contract([], confirm=False) + self._create_contract([], confirm=False)
        self.env["sale.order"].search([("name", "in", ("S00001", "S00002"))]).name = "X"
        orders[0].name, orders[1].name = "S00001", "S00002"
        [template] = self.env["sale.requirement"].get_import_templates()
        with file_open(template["template"].lstrip("/"), "rb") as file:
            self.assertEqual(self._import(file.read(), XLSX), [])
        self.assertEqual(self._read(orders[0]), self._read(orders[1]))
        self.assertEqual(len(orders.requirement_ids), 8)

    def test_deliverables_are_named(self):
        rows = [
            HEADERS,
            ["A", "One", "Plan; Design / Report"],
            ["", "Two", "Site; test"],
            ["", "Three", ""],
        ]
        self.assertEqual(self._import(self._csv(*rows), order=self.quotation), [])
        plan, design_report = self.quotation.milestone_ids[0].deliverable_ids
        site = self.quotation.milestone_ids[1].deliverable_ids[0]
        a, two, three = self.quotation.requirement_ids
        self.assertEqual((a.deliverable_ids, two.deliverable_ids), (plan + design_report, site))
        self.assertFalse(three.deliverable_ids)
        self.assertEqual([a.name, two.name, three.name], ["A", "R1", "R2"])
        self.assertEqual(a.deliverable_names, "Plan; Design / Report")

    def test_what_is_added_stands_last(self):
        """Moved by hand, the requirements before have places of their own."""
        self._import(self._csv(HEADERS, ["A", "One", ""], ["B", "Two", ""]), order=self.quotation)
        for sequence, name in ((20, "B"), (30, "A")):
            self.quotation.requirement_ids.filtered(lambda r, name=name: r.name == name).sequence = sequence
        self._import(self._csv(HEADERS, ["C", "Three", ""], ["D", "Four", ""]), order=self.quotation)
        self.quotation.invalidate_recordset()
        self.assertEqual(self.quotation.requirement_ids.mapped("name"), ["B", "A", "C", "D"])

    def test_errors_name_what_is_wrong(self):
        cases = [
            ([HEADERS, ["A", "One", "Nothing"]], "has no deliverable “Nothing”"),
            ([HEADERS, ["A", "One", "Report"]], "“Report” names 2 deliverables of .*Milestone / Deliverable"),
            ([HEADERS, ["A", "One", ""], ["A", "Two", ""]], "has a requirement A already. Choose another"),
            ([HEADERS, ["A", "", ""]], "Statement"),
            ([["Statement", "Priority"], ["One", "urgent"]], "urgent"),
        ]
        for rows, pattern in cases:
            with self.subTest(pattern=pattern):
                self.assertRegex("\n".join(self._import(self._csv(*rows), order=self.quotation)), pattern)
                self.assertFalse(self.quotation.requirement_ids)

    def test_agreed_requirements_take_no_import(self):
        self.quotation.action_confirm()
        errors = self._import(self._csv(HEADERS, ["A", "One", ""]), order=self.quotation)
        self.assertRegex(errors[0], "is agreed with the client")
        with self.assertRefused("its requirements cannot be imported"):
            self.quotation.action_import_requirements()

    def test_the_import_is_offered_on_quotations(self):
        action = self.quotation.with_user(self.users["salesperson"]).action_import_requirements()
        self.assertEqual((action["tag"], action["params"]["active_model"]), ("import", "sale.requirement"))

    def test_others_than_sellers_import_nothing(self):
        for role in ("invoicing", "reviewer", "project_user", "employee"):
            with self.subTest(role=role):
                user = self.users[role]
                errors = self._import(
                    self._csv(["Statement"], ["One"]), order=self.quotation, user=user, mapping=["statement"]
                )
                self.assertTrue(errors)
                self.assertFalse(self.quotation.requirement_ids)

    def test_an_export_comes_to_another_quotation(self):
        rows = [
            ["LH-1", 'Says "yes", and\nno', "quality", "could", "a\nb", "Fax", "Plan; Build / Report"],
            ["R7", "=1+1", "other", "wont", "", "", ""],
        ]
        self.assertEqual(self._import(self._csv(COLUMNS, *rows), order=self.quotation, mapping=COLUMNS), [])
        exported = self.quotation.requirement_ids.export_data(COLUMNS)["datas"]
        other = self.quotation.copy()
        other.requirement_ids.unlink()
        self.assertEqual(self._import(self._csv(COLUMNS, *exported), order=other, mapping=COLUMNS), [])
        self.assertEqual(self._read(other), self._read(self.quotation))
        self.assertEqual(other.requirement_ids.deliverable_ids.order_id, other)

    def test_an_export_with_external_ids_comes_back_without_a_change(self):
        self.order.action_confirm()
        names = ["id", "order_id/id", *COLUMNS]
        before = self._read(self.order)
        rows = self.order.requirement_ids.export_data(names)["datas"]
        self._submit(self.design)
        self.assertEqual(self._import(self._csv(names, *rows), mapping=names), [], "agreed and reviewed as it stands")
        self.assertEqual(self._read(self.order), before)
        rows[2][3] = "Another statement"
        errors = self._import(self._csv(names, *rows), mapping=names)
        self.assertRegex(errors[0], "is agreed with the client")
