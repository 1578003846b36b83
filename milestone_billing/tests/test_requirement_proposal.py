from lxml import html

from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged

from .requirement_common import RequirementCommon

# Who opens the screens of requirements of a running contract.
READERS = ("salesperson", "sale_all", "sale_manager", "project_user", "project_manager", "reviewer", "invoicing")


@tagged("post_install", "-at_install")
class TestRequirementProposal(RequirementCommon, HttpCase):
    """Requirements on the proposal, when it is sent, and as a matrix."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.open.statement = "Pays <script>alert(1)</script> & more"

    def _parse(self, content):
        return html.fromstring(content)

    def _render(self, order, report="sale.report_saleorder"):
        content, _type = self.env["ir.actions.report"]._render_qweb_html(report, order.ids, data={"report_type": "pdf"})
        return self._parse(content)

    def _open_portal(self, order):
        self.env.flush_all()
        response = self.url_open(order.get_portal_url())
        self.assertEqual(response.status_code, 200)
        return self._parse(response.content)

    def _read_rows(self, page):
        """Return the texts of the cells of the requirements, row by row, or None when none are shown."""
        tables = page.xpath("//*[@name='order_requirements']//table")
        if not tables:
            return None
        return [
            [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
            for row in tables[0].xpath(".//tr")
        ]

    # -- quotation, PDF and portal page --------------------------------------------------------------------

    def test_showing_them_is_a_choice_on_the_order_with_a_default_of_the_company(self):
        for shown in (False, True):
            self.company.milestone_show_requirements = shown
            form = Form(self.env["sale.order"])
            form.partner_id = self.client_company
            self.assertEqual(form.milestone_show_requirements, shown)
        self.assertFalse(self.order.milestone_show_requirements, "decided when the order was made")

    def test_nothing_is_shown_by_default(self):
        self.assertIsNone(self._read_rows(self._render(self.order)))
        self.assertIsNone(self._read_rows(self._open_portal(self.order)))

    def test_pdf_and_portal_page_show_what_is_required_and_what_meets_it(self):
        self.order.milestone_show_requirements = True
        rows = self._read_rows(self._render(self.order))
        self.assertEqual(
            rows,
            [
                ["No.", "Requirement", "Priority", "Met By"],
                ["R1", "Pages are drawn", "Must", "Wireframes (Design)"],
                ["R2", "Works on a phone", "Must", "Wireframes (Design), Site (Build)"],
                ["R3", "Pays <script>alert(1)</script> & more", "Must", ""],
                ["R4", "Has a forum", "Won't", ""],
            ],
        )
        online = self._read_rows(self._open_portal(self.order))
        self.assertEqual([[row[0], *row[2:]] for row in online], [[row[0], *row[2:]] for row in rows])

    def test_after_the_confirmation_the_status_shows(self):
        self.order.milestone_show_requirements = True
        self.order.action_confirm()
        self._approve(self.design)
        for rows in (self._read_rows(self._open_portal(self.order)), self._read_rows(self._render(self.order))):
            self.assertEqual(rows[0][-1], "Status")
            self.assertEqual([row[-1] for row in rows[1:]], ["Fulfilled", "Covered", "Uncovered", "Not Included"])

    def test_they_come_after_the_payment_plan(self):
        self.order.milestone_show_requirements = True
        for page in (self._render(self.order), self._open_portal(self.order)):
            names = page.xpath("//*[@name='milestone_payment_plan' or @name='order_requirements']/@name")
            self.assertEqual(names, ["milestone_payment_plan", "order_requirements"])

    # -- sending --------------------------------------------------------------------------------------------

    def _compose(self, order, user="salesperson"):
        action = order.with_user(self.users[user]).action_quotation_send()
        return Form(self.env[action["res_model"]].with_user(self.users[user]).with_context(**action["context"]))

    def _get_notes(self, order):
        return [
            message.preview for message in order.message_ids if "Sent although nothing meets" in (message.preview or "")
        ]

    def test_whoever_sends_is_warned_and_the_order_keeps_a_note(self):
        composer = self._compose(self.order)
        self.assertEqual(composer.requirement_warning, f"R3 {self.open.statement}")
        composer.save().action_send_mail()
        self.assertEqual(self.order.state, "sent")
        [note] = self._get_notes(self.order)
        self.assertIn("R3", note)
        self._compose(self.order).save().action_send_mail()
        self.assertEqual(len(self._get_notes(self.order)), 2, "sent again, noted again")

    def test_nothing_is_said_when_all_musts_are_covered(self):
        self.open.deliverable_ids = self.report
        composer = self._compose(self.order)
        self.assertFalse(composer.requirement_warning)
        composer.save().action_send_mail()
        self.assertFalse(self._get_notes(self.order))

    def test_uncovered_shoulds_are_no_reason_to_warn(self):
        self.open.priority = "should"
        self.assertFalse(self._compose(self.order).requirement_warning)

    def test_marking_as_sent_is_noted(self):
        self.order.action_quotation_sent()
        self.assertEqual(len(self._get_notes(self.order)), 1)

    def test_other_messages_are_as_before(self):
        self.order.message_post(body="Hello")
        self.assertFalse(self._get_notes(self.order))
        composer = Form(
            self.env["mail.compose.message"].with_context(
                default_model="sale.order", default_res_ids=self.order.ids, default_composition_mode="comment"
            )
        )
        self.assertFalse(composer.requirement_warning)

    def test_a_confirmed_order_is_sent_without_a_word(self):
        self.order.action_confirm()
        composer = self._compose(self.order)
        self.assertFalse(composer.requirement_warning)
        composer.save().action_send_mail()
        self.assertFalse(self._get_notes(self.order))

    # -- the coverage matrix ------------------------------------------------------------------------------

    def _read_matrix(self, page):
        return [
            [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
            for row in page.xpath("//*[@name='requirement_coverage']//table")[0].xpath(".//tr")
        ]

    def test_the_matrix_says_what_meets_what(self):
        self.order.action_confirm()
        self._approve(self.design)
        page = self._parse(self.order.with_user(self.users["salesperson"]).requirement_coverage)
        self.assertEqual(
            self._read_matrix(page),
            [
                ["Requirement", "1. Design", "2. Build", "3. Launch"],
                ["Uncovered (1)"],
                ["R3 · Must Pays <script>alert(1)</script> & more", "", "", ""],
                ["Covered (1)"],
                ["R2 · Must Works on a phone", "Wireframes Accepted", "Site Pending", ""],
                ["Fulfilled (1)"],
                ["R1 · Must Pages are drawn", "Wireframes Accepted", "", ""],
                ["Not Included (1)"],
                ["R4 · Won't Has a forum", "", "", ""],
            ],
        )
        self.assertFalse(page.xpath("//script"))
        text = " ".join(page.text_content().split())
        self.assertIn("2 of 3 requirements are covered. Nothing meets these musts: R3.", text)

    def test_the_matrix_names_deliverables_without_a_requirement(self):
        page = self._parse(self.order.requirement_coverage)
        [table] = page.xpath("//*[@name='deliverables_without_requirement']//table")
        rows = [
            [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")] for row in table.xpath(".//tr")
        ]
        self.assertEqual(rows, [["Design", "Guide"], ["Launch", "Report"]])
        for deliverable in self.guide + self.report:
            deliverable.requirement_ids = self.open
        self.order.invalidate_recordset(["requirement_coverage"])
        page = self._parse(self.order.requirement_coverage)
        self.assertFalse(page.xpath("//*[@name='deliverables_without_requirement']"))

    def test_cancelled_milestones_have_no_column(self):
        self.build._write_protected({"state": "cancelled"})
        rows = self._read_matrix(self._parse(self.order.requirement_coverage))
        self.assertEqual(rows[0], ["Requirement", "1. Design", "2. Launch"])

    def test_the_matrix_is_printed_in_pieces_that_fit(self):
        order = self._create_contract([10.0] * 12, confirm=False)
        self.env["sale.requirement"].create(self._requirement("All", order.milestone_ids.deliverable_ids, order=order))
        page = self._render(order, "milestone_billing.report_requirement_coverage")
        tables = page.xpath("//*[@name='requirement_coverage']//table")
        columns = [len(table.xpath(".//thead/tr/th")) - 1 for table in tables]
        self.assertEqual(columns, [5, 5, 2])
        printed = [cell.text_content() for cell in page.xpath("//tbody//bdi")]
        self.assertEqual(sorted(printed), sorted(order.milestone_ids.deliverable_ids.mapped("name")))

    def test_an_order_without_milestones_has_a_matrix(self):
        order = self._create_contract([], confirm=False)
        self.env["sale.requirement"].create(self._requirement("Lonely", order=order))
        self.assertEqual(
            self._read_matrix(self._parse(order.requirement_coverage)),
            [["Requirement"], ["Uncovered (1)"], ["R1 · Must Lonely"]],
        )

    def test_the_matrix_opens_from_the_order(self):
        action = self.order.with_user(self.users["salesperson"]).action_view_requirement_coverage()
        self.assertEqual((action["res_model"], action["res_id"]), ("sale.order", self.order.id))
        [(view_id, view_type)] = action["views"]
        form = Form(self.order.with_user(self.users["salesperson"]), view=self.env["ir.ui.view"].browse(view_id))
        self.assertEqual(view_type, "form")
        self.assertIn("Wireframes", form.requirement_coverage)
        listed = self.order.with_user(self.users["salesperson"]).action_view_requirements()
        self.assertEqual(self.env[listed["res_model"]].search(listed["domain"]), self.order.requirement_ids)

    # -- screens ----------------------------------------------------------------------------------------------

    def test_screens_open_for_every_reader(self):
        self.order.milestone_create_project = True
        self.order.action_confirm()
        self.env.flush_all()
        for role in READERS:
            for view_type in ("list", "kanban", "form", "search"):
                with self.subTest(role=role, view=view_type):
                    requirements = self.env["sale.requirement"].with_user(self.users[role])
                    fields = requirements.get_views([(False, view_type)])["models"]["sale.requirement"]["fields"]
                    self.env.invalidate_all()
                    # what the web client reads of them
                    names = {name: {"fields": {"display_name": {}}} if name[-3:] == "_id" else {} for name in fields}
                    found = requirements.web_search_read([("order_id", "=", self.order.id)], names)
                    self.assertEqual(found["length"], 4)

    def test_agreed_requirements_are_read_only_on_the_screens(self):
        self.order.action_confirm()
        form = Form(self.first.with_user(self.users["salesperson"]))
        for name in ("statement", "priority", "kind", "acceptance_criteria", "name"):
            with self.subTest(name=name), self.assertRaises(AssertionError):
                form[name] = False
        form.deliverable_ids.add(self.report)
        form.save()
        self.assertEqual(self.first.deliverable_ids, self.wireframes + self.report)
        order_form = Form(self.order.with_user(self.users["sale_manager"]))
        with self.assertRaises(AssertionError):
            order_form.requirement_ids.new()

    def test_a_list_of_requirements_is_grouped(self):
        groups = self.env["sale.requirement"].formatted_read_group(
            [("order_id", "=", self.order.id)], ["state"], ["__count"]
        )
        self.assertEqual(
            {group["state"]: group["__count"] for group in groups}, {"covered": 2, "uncovered": 1, "excluded": 1}
        )

    def test_deliverables_are_named_with_their_milestones_where_they_are_chosen(self):
        deliverable = self.wireframes.with_context(deliverable_with_milestone=True)
        self.assertEqual(deliverable.display_name, "Design – Wireframes")
        self.assertEqual(self.wireframes.display_name, "Wireframes")
        self.assertEqual(self.first.with_context(requirement_with_statement=True).display_name, "R1 Pages are drawn")

    def test_requirements_are_written_on_an_unsaved_quotation(self):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.client_company.id,
                "requirement_ids": [Command.create({"statement": "First"}), Command.create({"statement": "Second"})],
            }
        )
        self.assertEqual(order.requirement_ids.mapped("name"), ["R1", "R2"])
