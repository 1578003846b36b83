from odoo.tests import HttpCase, tagged

from .layout_common import LayoutCommon


@tagged("post_install", "-at_install")
class TestCatalog(LayoutCommon, HttpCase):
    """Products are added from the catalog beside the milestones, never under one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.goods = cls._create_product(name="Goods", type="consu", lst_price=10.0, taxes_id=False)
        cls.planned = cls._create_product(name="Planned", type="service", lst_price=100.0, taxes_id=False)

    def setUp(self):
        super().setUp()
        self.authenticate("milestone_salesperson", "milestone_salesperson")

    def _create_quotation(self, *free, confirm=False):
        lines = [{"product_id": self.planned.id, "name": name} for name in ("First", "Second")]
        return self._create_gated_order([lines[:1], lines[1:]], free=free, confirm=confirm)

    def _call(self, order, route, **params):
        self.env.flush_all()
        params = {"res_model": order._name, "order_id": order.id, "child_field": "order_line", **params}
        answer = self.make_jsonrpc_request(f"/product/catalog/{route}", params)
        self.env.invalidate_all()
        return answer

    def _sections(self, order):
        return [(section["name"], section["line_count"]) for section in self._call(order, "get_sections")]

    def _select(self, order, quantity, section, product=None):
        """Set a quantity, as the buttons of a product do; return what its card shows then."""
        product = product or self.goods
        self._call(order, "update_order_line_info", product_id=product.id, quantity=quantity, section_id=section)
        return self._quantity(order, section, product)

    def _quantity(self, order, section, product=None):
        product = product or self.goods
        cards = self._call(order, "order_lines_info", product_ids=product.ids, section_id=section)
        return cards[str(product.id)]["quantity"]

    def _added(self, order):
        return order.order_line.filtered(lambda line: line.product_id == self.goods)

    def test_milestones_are_no_sections_to_choose_from(self):
        order = self._create_quotation()
        self.assertEqual(self._sections(order), [("No Section", 0)])
        section = self._call(order, "create_section", name="More", position="bottom")
        self._select(order, 1, section["id"])
        self.assertEqual(self._sections(order), [("No Section", 0), ("More", 1)])
        self._select(order, 1, False)
        self.assertEqual(self._sections(order), [("No Section", 1), ("More", 1)])

    def test_orders_without_milestones_are_as_ever(self):
        order = self._create_contract([], confirm=False)
        section = self._call(order, "create_section", name="More", position="top")
        self.assertEqual(self._select(order, 2, section["id"]), 2)
        self.assertEqual(self._sections(order), [("More", 1)])
        self.assertEqual(self._quantity(order, None), 2, "the first section, before one is chosen")

    def test_a_product_is_added_once_and_taken_out_again(self):
        for confirm in (False, True):
            order = self._create_quotation(confirm=confirm)
            section = self._call(order, "get_sections")[0]["id"]
            for quantity in (1, 2, 3):
                self.assertEqual(self._select(order, quantity, section), quantity)
            self.assertEqual(self._added(order).mapped("product_uom_qty"), [3.0])
            self.assertFalse(self._added(order).billing_milestone_id)
            for quantity in (2, 1, 0):
                self.assertEqual(self._select(order, quantity, section), quantity)
            self.assertEqual(self._added(order).mapped("product_uom_qty"), [0.0] if confirm else [])

    def test_a_section_of_a_milestone_means_none(self):
        """Before a section is chosen, and in a catalog that was open when the order was planned."""
        order = self._create_quotation()
        milestone_section = order.order_line.filtered("display_type")[0].id
        for quantity in (1, 2):
            self.assertEqual(self._select(order, quantity, milestone_section), quantity)
        self.assertEqual(self._quantity(order, None), 2)
        self.assertEqual(self._added(order).product_uom_qty, 2.0)
        self.assertEqual(self._quantity(order, None, self.planned), 0, "lines of milestones are not counted")
        self._select(order, 0, milestone_section, self.planned)
        self.assertEqual(set(order.milestone_ids.mapped("amount_untaxed")), {100.0}, "and not touched")

    def test_a_product_is_added_to_the_section_that_is_chosen(self):
        order = self._create_quotation()
        below = self._call(order, "create_section", name="Below", position="bottom")["id"]
        self._select(order, 1, below)
        above = self._call(order, "create_section", name="Above", position="top")["id"]
        milestones = ["[Milestone 1]", "First", "[Milestone 2]", "Second"]
        for quantity in (1, 2):
            self.assertEqual(self._select(order, quantity, above), quantity)
        self.assertEqual(self._layout(order), ["[Above]", "Goods", "[Below]", "Goods", *milestones])
        self.assertEqual(self._select(order, 1, False), 1)
        self.assertEqual(self._layout(order), ["Goods", "[Above]", "Goods", "[Below]", "Goods", *milestones])
