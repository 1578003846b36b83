import csv
import io
from datetime import date

from openpyxl import Workbook

from odoo.tests import tagged
from odoo.tools import file_open, mute_logger

from .common import MilestoneCommon

OPTIONS = {
    "has_headers": True,
    "quoting": '"',
    "separator": ",",
    "encoding": "utf-8",
    "date_format": "%Y-%m-%d",
    "float_thousand_separator": ",",
    "float_decimal_separator": ".",
    "keep_matches": False,
}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS = [
    "name",
    "contract_date",
    "amount_untaxed",
    "predecessor_names",
    "deliverable_ids/name",
    "deliverable_ids/acceptance_criteria",
]


@tagged("post_install", "-at_install")
class TestSpreadsheet(MilestoneCommon):
    """A plan goes into a spreadsheet and comes back, through Odoo's own import and export."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract([], confirm=False)

    def _import(self, content, file_type="text/csv", order=None, user=None, mapping=None):
        """Import a file as the screen does: preview, take the suggested columns, test, import.

        :return: the error messages, without having imported anything if there are some
        """
        self.env.flush_all()  # a test import is rolled back, and with it what waits to be written
        env = self.env(user=user or self.env.user, su=False)
        context = {"default_order_id": order.id} if order else {}
        wizard = env["base_import.import"].with_context(**context)
        wizard = wizard.create({"res_model": "sale.milestone", "file": content, "file_type": file_type})
        preview = wizard.parse_preview(dict(OPTIONS))
        self.assertNotIn("error", preview)
        headers = preview["headers"]
        suggested = {int(number): "/".join(path) for number, path in preview["matches"].items()}
        names = mapping or [suggested.get(number) for number in range(len(headers))]
        self.assertTrue(all(names), f"{headers} are matched with {names}")
        options = {**preview["options"], **OPTIONS}
        for dryrun in (True, False):
            result = wizard.execute_import(names, headers, options, dryrun=dryrun)
            errors = [message["message"] for message in result["messages"] if message["type"] == "error"]
            if errors:
                return errors
            self.env.invalidate_all()
        return []

    def _csv(self, *rows):
        file = io.StringIO()
        csv.writer(file).writerows(rows)
        return file.getvalue().encode()

    def _xlsx(self, *rows):
        book, file = Workbook(), io.BytesIO()
        for row in rows:
            book.active.append([None if cell == "" else cell for cell in row])
        for cell in (cell for row in book.active for cell in row if cell.data_type == "f"):
            cell.data_type = "s"  # text that begins like a formula
        book.save(file)
        return file.getvalue()

    def _export(self, milestones, names):
        return [names] + milestones.export_data(names)["datas"]

    def _get_plan(self, order):
        return [
            (
                milestone.name,
                milestone.contract_date,
                milestone.amount_untaxed,
                milestone.amount_total,
                sorted(milestone.predecessor_ids.mapped("name")),
                [(deliverable.name, deliverable.acceptance_criteria) for deliverable in milestone.deliverable_ids],
            )
            for milestone in order.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id))
        ]

    # -- templates ----------------------------------------------------------------------------------

    def test_the_offered_templates_are_imported_as_they_are(self):
        Milestone = self.env["sale.milestone"]
        plans = []
        for template in Milestone.with_context(default_order_id=self.order.id).get_import_templates():
            order = self._create_contract([], confirm=False)
            with file_open(template["template"].lstrip("/"), "rb") as file:
                content = file.read()
            file_type = XLSX if template["template"].endswith("xlsx") else "text/csv"
            self.assertEqual(self._import(content, file_type, order, self.users["salesperson"]), [])
            plans.append(self._get_plan(order))
            self.assertEqual(order.amount_untaxed, 45000.5)
            self.assertEqual(len(order.order_line.filtered(lambda line: not line.display_type)), 3)
        self.assertEqual(len(plans), 2)
        self.assertEqual(plans[0], plans[1], "both formats say the same")
        launch = plans[0][2]
        self.assertEqual((launch[0], launch[1], launch[2]), ("Launch", date(2027, 5, 31), 8500.0))
        self.assertEqual(launch[4], ["Build", "Design"])
        self.assertEqual(len(plans[0][0][5]), 2)

    def test_a_template_with_orders_fills_several_quotations(self):
        orders = self._create_contract([], confirm=False) + self._create_contract([], confirm=False)
        [template] = self.env["sale.milestone"].get_import_templates()
        orders[0].name, orders[1].name = "S00001", "S00002"
        self.env["sale.order"].search([("name", "in", orders.mapped("name")), ("id", "not in", orders.ids)]).name = "X"
        with file_open(template["template"].lstrip("/"), "rb") as file:
            self.assertEqual(self._import(file.read(), XLSX), [])
        self.assertEqual(self._get_plan(orders[0]), self._get_plan(orders[1]))
        self.assertEqual(len(orders.milestone_ids), 6)

    def test_the_import_is_offered_on_quotations(self):
        action = self.order.with_user(self.users["salesperson"]).action_import_milestones()
        self.assertEqual((action["tag"], action["params"]["active_model"]), ("import", "sale.milestone"))
        with self.assertRefused("is no quotation any more"):
            self._create_contract([10.0]).action_import_milestones()

    # -- what is imported ----------------------------------------------------------------------------

    def test_milestones_may_come_after_others_further_down(self):
        rows = ["Name", "Untaxed Amount", "After (Names)"], ["A", 1, "B; C"], ["B", 2, "C"], ["C", 3, ""]
        for content, file_type in ((self._csv(*rows), "text/csv"), (self._xlsx(*rows), XLSX)):
            with self.subTest(file_type=file_type):
                order = self._create_contract([], confirm=False)
                self.assertEqual(self._import(content, file_type, order), [])
                a, b, c = order.milestone_ids
                self.assertEqual((a.predecessor_ids, b.predecessor_ids), (b | c, c))
                self.assertEqual(a.predecessor_names, "B; C")

    def test_errors_name_what_is_wrong(self):
        cases = [
            ([["Name", "Untaxed Amount", "After (Names)"], ["A", 1, "Bee"]], "A comes after “Bee”, and .* has no such"),
            ([["Name", "Untaxed Amount", "After (Names)"], ["A", 1, "A"]], "A comes after “A”, and .* has no such"),
            (
                [["Name", "Untaxed Amount", "After (Names)"], ["T", 1, ""], ["T", 1, ""], ["A", 1, "T"]],
                "2 milestones of that name",
            ),
            ([["Name", "Untaxed Amount"], ["A", -5]], "The amount of A is negative"),
            ([["Name", "Untaxed Amount"], ["A", "much"]], "much"),
            ([["Name", "Untaxed Amount"], ["", 5]], "Name"),
            ([["Order", "Name", "Untaxed Amount"], ["S99999999", "A", 5]], "S99999999"),
        ]
        for rows, pattern in cases:
            for content, file_type in ((self._csv(*rows), "text/csv"), (self._xlsx(*rows), XLSX)):
                with self.subTest(pattern=pattern, file_type=file_type):
                    with mute_logger("odoo.sql_db"):  # a missing name is found by the database
                        errors = self._import(content, file_type, self.order)
                    self.assertTrue(errors)
                    self.assertRegex("\n".join(errors), pattern)
                    self.assertFalse(self.order.milestone_ids)

    def test_an_agreed_plan_takes_no_import(self):
        order = self._create_contract([10.0])
        errors = self._import(self._csv(["Name", "Untaxed Amount"], ["More", 5]), order=order)
        self.assertRegex(errors[0], "is agreed with the client")

    def test_protected_fields_take_no_import(self):
        for name, value in (("state", "approved"), ("billing_state", "paid"), ("invoice_queued_on", "2020-01-01")):
            with self.subTest(name=name):
                content = self._csv(["Name", "Untaxed Amount", "Third"], ["A", 5, value])
                errors = self._import(content, order=self.order, mapping=["name", "amount_untaxed", name])
                self.assertRegex(errors[0], "cannot be set by hand")
                self.assertFalse(self.order.milestone_ids)

    def test_others_than_sellers_import_nothing(self):
        content = self._csv(["Name", "Untaxed Amount"], ["A", 5])
        for role in ("invoicing", "reviewer", "project_user", "employee"):
            with self.subTest(role=role):
                errors = self._import(
                    content, order=self.order, user=self.users[role], mapping=["name", "amount_untaxed"]
                )
                self.assertTrue(errors)
                self.assertFalse(self.order.milestone_ids)

    # -- there and back --------------------------------------------------------------------------------

    def _create_rich_plan(self, **values):
        order = self._create_contract([], confirm=False, **values)
        rows = [
            ["Name", "Contract Date", "Untaxed Amount", "After (Names)", *self._deliverable_headers()],
            ['Ünïcode, "quoted"', "2027-02-28", "3333.33", "", "First", "Line one\nline two"],
            ["", "", "", "", "Second", ""],
            ["Build; and test", "2027-04-30", "3333.34", 'Ünïcode, "quoted"', "Third", "=1+1"],
            ["End", "", "0.01", "Build; and test", "", ""],
        ]
        self.assertEqual(self._import(self._csv(*rows), order=order), [])
        return order

    def _deliverable_headers(self):
        return ["Deliverables / Deliverable", "Deliverables / Acceptance Criteria"]

    def test_the_columns_of_the_template_carry_a_plan_to_another_quotation(self):
        order = self._create_rich_plan()
        plan = self._get_plan(order)
        self.assertEqual([row[4] for row in plan], [[], ['Ünïcode, "quoted"'], ["Build; and test"]])
        rows = self._export(order.milestone_ids, COLUMNS)
        for content, file_type in ((self._csv(*rows), "text/csv"), (self._xlsx(*rows), XLSX)):
            with self.subTest(file_type=file_type):
                other = self._create_contract([], confirm=False)
                self.assertEqual(self._import(content, file_type, other), [])
                self.assertEqual(self._get_plan(other), plan)

    def test_an_export_with_external_ids_comes_back_without_a_change(self):
        quotation, agreed, reviewed = (self._create_rich_plan() for _number in range(3))
        (agreed | reviewed).action_confirm()
        self._approve(reviewed.milestone_ids[0])
        self._submit(reviewed.milestone_ids[1])
        names = ["id", "order_id/id", "sequence", *COLUMNS[:3], "predecessor_ids/id", "predecessor_names"]
        names += ["deliverable_ids/id", *COLUMNS[4:]]
        for order in (quotation, agreed, reviewed):
            rows = self._export(order.milestone_ids, names)
            plan, ids = self._get_plan(order), order.milestone_ids.ids
            lines = order.order_line.mapped("price_unit")
            messages = len(order.milestone_ids.message_ids)
            for content, file_type in ((self._csv(*rows), "text/csv"), (self._xlsx(*rows), XLSX)):
                with self.subTest(states=order.milestone_ids.mapped("state"), file_type=file_type):
                    self.assertEqual(self._import(content, file_type, mapping=names), [])
                    self.assertEqual(order.milestone_ids.ids, ids)
                    self.assertEqual(self._get_plan(order), plan)
                    self.assertEqual(order.order_line.mapped("price_unit"), lines)
                    self.assertEqual(len(order.milestone_ids.message_ids), messages, "nothing was written")

    def test_an_export_with_external_ids_updates_what_was_edited(self):
        order = self._create_rich_plan()
        names = ["id", *COLUMNS]
        rows = self._export(order.milestone_ids, names)
        rows[1][3] = "4000.00"
        rows[1][6] = "Other criteria"
        rows[2][5] = "Renamed"
        rows[3][4] = ""  # comes after nothing any more
        self.assertEqual(self._import(self._csv(*rows), mapping=names), [])
        first = order.milestone_ids[0]
        self.assertEqual((first.amount_untaxed, first.order_line_ids.price_unit), (4000.0, 4000.0))
        self.assertFalse(order.milestone_ids[1].predecessor_ids)
        self.assertEqual(first.deliverable_ids[0].acceptance_criteria, "Other criteria")
        self.assertEqual(first.deliverable_ids.mapped("name"), ["First", "Second", "Renamed"])

    def test_an_agreed_milestone_keeps_its_amount_in_an_import(self):
        order = self._create_rich_plan()
        order.action_confirm()
        names = ["id", "amount_untaxed"]
        rows = self._export(order.milestone_ids, names)
        rows[2][1] = "9999.00"
        errors = self._import(self._csv(*rows), mapping=names)
        self.assertRegex(errors[0], "agreed with the client")
        self.assertEqual(order.milestone_ids[1].amount_untaxed, 3333.34)

    def test_agreed_milestones_keep_their_order(self):
        order = self._create_rich_plan()
        order.action_confirm()
        rows = self._export(order.milestone_ids, ["id", "sequence"])
        rows[1][1] = "99"
        self.assertRegex(self._import(self._csv(*rows), mapping=rows[0])[0], "agreed with the client")
        with self.assertRefused("agreed with the client"):
            order.milestone_ids[0].with_user(self.users["salesperson"]).sequence = 99

    def test_shares_come_from_the_division_of_lines(self):
        order = self._create_rich_plan()
        rows = self._export(order.milestone_ids, ["id", "split_percentage"])
        offered = self.env["base_import.import"].get_fields_tree("sale.milestone")
        self.assertNotIn("split_percentage", [field["name"] for field in offered])
        self.assertEqual(rows[0], ["id", "split_percentage"], "exported all the same")

    def test_currencies_keep_their_decimals(self):
        for code, amount in (("JPY", 12345.0), ("KWD", 1.125)):
            with self.subTest(currency=code):
                currency = self.setup_other_currency(code, rates=[("1900-01-01", 2.0)])
                order = self._create_contract(
                    [{"name": "Only", "amount_untaxed": amount}], confirm=False, currency=currency
                )
                other = self._create_contract([], confirm=False, currency=currency)
                rows = self._export(order.milestone_ids, COLUMNS)
                self.assertEqual(self._import(self._csv(*rows), order=other), [])
                self.assertEqual(other.milestone_ids.amount_untaxed, amount)
                self.assertEqual(self._get_plan(other), self._get_plan(order))
