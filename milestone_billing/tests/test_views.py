from lxml import etree

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import MilestoneCommon

# Who opens the screens of milestones, and who sees amounts there.
READERS = (
    "salesperson",
    "sale_all",
    "sale_manager",
    "project_user",
    "project_manager",
    "reviewer",
    "invoicing",
    "accountant",
)
AMOUNT_READERS = tuple(role for role in READERS if role != "project_user")
VIEWS = ("list", "kanban", "form", "calendar", "activity", "pivot", "graph", "search")
# Screens of others that the addon changes, and who of the readers opens them.
NATIVE_SCREENS = {
    "sale.order": ("salesperson", "sale_all", "sale_manager"),
    "account.move": ("invoicing", "accountant"),
    "project.milestone": ("project_user", "project_manager"),
    "project.project": ("project_user", "project_manager"),
    "res.partner": READERS,
}


@tagged("post_install", "-at_install")
class TestViews(MilestoneCommon):
    """Every screen opens, with data, for everybody who may open it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.milestone_create_project = True
        cls.order = cls._create_contract([1000.0, 500.0, 250.0])
        cls.approved, cls.submitted, cls.planned = cls.order.milestone_ids.sorted("sequence")
        cls.invoice = cls._bill(cls.approved)
        cls._submit(cls.submitted)
        cls.quotation = cls._create_contract([100.0, 200.0], confirm=False)

    def _get_arch(self, user, model, view_type, xmlid=None):
        view_id = self.env.ref(xmlid).id if xmlid else False
        views = self.env[model].with_user(user).get_views([(view_id, view_type)])["views"]
        return etree.fromstring(views[view_type]["arch"])

    def _get_fields(self, model, node):
        """Return the specification of the fields that the web client asks for, those of x2many lists included."""
        specification = {}
        for child in node:
            if child.tag == "field":
                field = self.env[model]._fields[child.get("name")]
                fields = {"display_name": {}} if field.type == "many2one" else {}
                for view in child:
                    if view.tag in ("list", "kanban", "form"):
                        fields.update(self._get_fields(field.comodel_name, view))
                specification[field.name] = {"fields": fields} if fields else {}
            elif isinstance(child.tag, str):
                specification.update(self._get_fields(model, child))
        return specification

    def test_the_form_of_the_order_asks_for_no_field_that_its_reader_does_not_have(self):
        """Odoo adds the fields of conditions, also those that a group keeps from the reader: the browser fails then."""
        for role in set(READERS) - {"reviewer"}:  # who reads no orders
            with self.subTest(role=role):
                views = self.env["sale.order"].with_user(self.users[role]).get_views([(False, "form")])
                arch = etree.fromstring(views["views"]["form"]["arch"])
                names = {field.get("name") for field in arch.xpath("//field[not(ancestor::field)]")}
                self.assertFalse(names - set(views["models"]["sale.order"]["fields"]))

    def _open(self, role, view_type, records, part=""):
        """Read what a screen shows of some records, with nothing in the cache that others put there.

        :param str part: only the fields that have this in their name
        """
        user, model = self.users[role], records._name
        specification = self._get_fields(model, self._get_arch(user, model, view_type))
        specification = {name: value for name, value in specification.items() if part in name}
        self.env.flush_all()
        self.env.invalidate_all()
        if view_type == "form":
            return records.with_user(user).web_read(specification)
        return self.env[model].with_user(user).web_search_read([("id", "in", records.ids)], specification)["records"]

    def test_milestone_screens_open_for_every_reader(self):
        for role in READERS:
            user = self.users[role]
            for view_type in VIEWS:
                with self.subTest(role=role, view=view_type):
                    self._get_arch(user, "sale.milestone", view_type)

    def test_screens_show_data_to_every_reader(self):
        milestones = self.order.milestone_ids
        screens = [(view_type, milestones) for view_type in ("list", "kanban", "form")]
        screens += [(view_type, milestones.approval_ids) for view_type in ("list", "form")]
        for role in READERS:
            for view_type, records in screens:
                with self.subTest(role=role, view=view_type, model=records._name):
                    self.assertEqual(len(self._open(role, view_type, records)), len(records))

    def test_amounts_are_shown_to_those_who_deal_with_them(self):
        for role in READERS:
            for view_type in ("list", "form", "kanban"):
                with self.subTest(role=role, view=view_type):
                    arch = self._get_arch(self.users[role], "sale.milestone", view_type)
                    self.assertEqual(bool(arch.xpath("//field[@name='amount_untaxed']")), role in AMOUNT_READERS)

    def test_native_screens_open_for_their_users(self):
        records = {
            "sale.order": self.order | self.quotation,
            "account.move": self.invoice,
            "project.milestone": self.order.milestone_ids.project_milestone_id,
            "project.project": self.order.milestone_ids.project_id,
            "res.partner": self.client_company,
        }
        for model, roles in NATIVE_SCREENS.items():
            for role in roles:
                with self.subTest(model=model, role=role):
                    self._open(role, "form", records[model])
        # natively the order form fails for them, by a field of projects that is for salespeople
        for role in ("invoicing", "accountant"):
            with self.subTest(model="sale.order", role=role):
                self._open(role, "form", records["sale.order"], part="milestone")

    def test_dialogs_open(self):
        wizard = Form(
            self.env["sale.approval.on.behalf"]
            .with_user(self.users["project_manager"])
            .with_context(
                **self.submitted.with_user(self.users["project_manager"]).action_approve_on_behalf()["context"]
            )
        )
        self.assertEqual(wizard.milestone_id, self.submitted)
        revert = self.approved.with_user(self.users["accountant"])._open_reason_dialog("revert")
        reason = Form(
            self.env["sale.approval.reason"].with_user(self.users["accountant"]).with_context(**revert["context"])
        )
        self.assertEqual(reason.purpose, "revert")

    def test_plan_on_an_unsaved_quotation(self):
        """A name, a date and an amount make the milestone, its section and its order line."""
        form = Form(self.env["sale.order"].with_user(self.users["salesperson"]))
        form.partner_id = self.client_company
        for name, amount in (("Design", 1000.1), ("Build", 2000.0)):
            with form.milestone_ids.new() as line:
                line.name = name
                line.contract_date = "2030-01-31"
                line.amount_untaxed = amount
        order = form.save()
        self.assertEqual(order.milestone_ids.mapped("name"), ["Design", "Build"])
        self.assertEqual(order.milestone_ids.mapped("amount_untaxed"), [1000.1, 2000.0])
        self.assertEqual(order.milestone_ids.mapped("amount_total"), [1150.12, 2300.0])
        self.assertEqual(order.order_line.mapped("display_type"), ["line_section", False] * 2)
        self.assertEqual(order.milestone_unplanned_amount, 0.0)

    def test_plan_is_confirmed_by_its_salesperson(self):
        self.quotation.with_user(self.users["salesperson"]).action_confirm()
        self.assertEqual(self.quotation.state, "sale")
        self.assertTrue(self.quotation.milestone_contract_hash)
        self.assertTrue(all(self.quotation.milestone_ids.mapped("project_milestone_id")))

    def test_plan_changes_on_a_saved_quotation(self):
        form = Form(self.quotation.with_user(self.users["salesperson"]))
        with form.milestone_ids.edit(0) as line:
            line.amount_untaxed = 150.0
        with form.milestone_ids.new() as line:
            line.name = "More"
            line.amount_untaxed = 50.0
        form.save()
        self.assertEqual(self.quotation.milestone_ids.mapped("amount_untaxed"), [150.0, 200.0, 50.0])
        self.assertEqual(self.quotation.amount_untaxed, 400.0)

    def test_agreed_plan_is_readonly(self):
        form = Form(self.order.with_user(self.users["sale_manager"]))
        with self.assertRaises(AssertionError):
            form.milestone_ids.new()

    def test_policy_of_a_confirmed_order_is_for_sales_administrators(self):
        for role, editable in (("salesperson", False), ("sale_manager", True)):
            with self.subTest(role=role):
                order = self.order.with_user(self.users[role])
                self.assertEqual(order.can_edit_milestone_policy, editable)

    def test_native_tick_is_not_offered(self):
        native = self.submitted.project_milestone_id.with_user(self.users["project_user"])
        for view_type in ("list", "form"):
            arch = self._get_arch(self.users["project_user"], "project.milestone", view_type)
            self.assertEqual(arch.xpath("//field[@name='is_reached']/@readonly"), ["is_billing_milestone"])
        panel = native.project_id.get_panel_data()
        data = next(item for item in panel["milestones"]["data"] if item["id"] == native.id)
        self.assertTrue(data["is_billing_milestone"])
        self.assertFalse(data["can_be_marked_as_done"])
        self.assertEqual(data["billing_milestone_label"], "With the Client")
        self.assertIn("Billing Milestones", [button["text"] for button in panel["buttons"] if button["show"]])
        with self.assertRaises(UserError):
            native.toggle_is_reached(True)

    def test_panel_of_a_project_without_contract_is_native(self):
        project = self.env["project.project"].create({"name": "Inside", "allow_milestones": True})
        native = self.env["project.milestone"].create({"name": "Tick me", "project_id": project.id})
        panel = project.with_user(self.users["project_user"]).get_panel_data()
        self.assertFalse(panel["milestones"]["data"][0]["is_billing_milestone"])
        self.assertNotIn("billing_milestone_label", panel["milestones"]["data"][0])
        self.assertNotIn("Billing Milestones", [button["text"] for button in panel["buttons"] if button["show"]])
        self.assertTrue(native.with_user(self.users["project_user"]).toggle_is_reached(True)["is_reached"])

    def test_every_action_has_an_empty_state(self):
        actions = self.env["ir.actions.act_window"].search([("res_model", "in", ("sale.milestone", "sale.approval"))])
        self.assertGreaterEqual(len(actions), 9)
        for action in actions:
            with self.subTest(action=action.name):
                self.assertIn("o_view_nocontent_smiling_face", action.help)

    def test_menus(self):
        root = self.env.ref("milestone_billing.sale_milestone_menu_root")
        for role in READERS:
            with self.subTest(role=role):
                self.assertIn(root, self._visible_menus(role))
        self.assertNotIn(root, self._visible_menus("employee"))
        self.assertIn(self.env.ref("milestone_billing.sale_milestone_menu_to_review"), self._visible_menus("reviewer"))
        self.assertNotIn(
            self.env.ref("milestone_billing.sale_milestone_menu_to_invoice"), self._visible_menus("salesperson")
        )

    def _visible_menus(self, role):
        menus = self.env["ir.ui.menu"].with_user(self.users[role])
        return self.env["ir.ui.menu"].browse(menus._visible_menu_ids())

    def test_counts(self):
        self.assertEqual(self.order.billing_milestone_count, 3)
        self.assertEqual(self.client_company.with_user(self.users["sale_all"]).billing_milestone_count, 5)
        self.assertEqual(self.approver.with_user(self.users["sale_all"]).billing_milestone_count, 0)
        self.assertEqual(self.approved.project_id.billing_milestone_count, 3)
        self.assertEqual(self.invoice.billing_milestone_count, 1)
        self.assertEqual(self.submitted.task_count, 1)

    def test_board_columns_follow_the_work(self):
        states = self.env["sale.milestone"]._expand_states(["cancelled", "approved"], [])
        self.assertEqual(states, ["draft", "in_progress", "submitted", "changes_requested", "approved", "cancelled"])


@tagged("post_install", "-at_install")
class TestReports(MilestoneCommon):
    """What the client holds in hands: the plan in the order, the approval on the invoice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls._create_contract(
            [{"name": "Design", "amount_untaxed": 1000.0}, {"name": "Build", "amount_untaxed": 500.0}],
            lines=[{"product_id": cls.product_a.id, "price_unit": 77.0}],
        )
        cls.invoice = cls._bill(cls.order.milestone_ids.sorted("sequence")[0])

    def _render(self, report, record):
        html, _type = self.env["ir.actions.report"]._render_qweb_html(report, record.ids)
        return " ".join(etree.fromstring(html, etree.HTMLParser()).itertext())

    def test_order_shows_the_payment_plan(self):
        text = self._render("sale.report_saleorder", self.order)
        for expected in ("Payment Plan", "Deliverable 1", "Deliverable 2", "1,150.00", "apart from the milestones"):
            self.assertIn(expected, text)

    def test_order_without_plan_is_native(self):
        order = self._create_contract([], lines=[{"product_id": self.product_a.id}])
        self.assertNotIn("Payment Plan", self._render("sale.report_saleorder", order))

    def test_invoice_says_who_approved_what(self):
        text = self._render("account.report_invoice", self.invoice)
        self.assertIn(f"Milestone 1 of 2 of {self.order.name}: Design, approved by", text)
        self.assertIn(self.approver.display_name, text)

    def test_other_invoices_are_native(self):
        invoice = self.init_invoice("out_invoice", products=self.product_a)
        self.assertNotIn("Milestone", self._render("account.report_invoice", invoice))
