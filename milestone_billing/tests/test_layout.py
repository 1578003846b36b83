from odoo.fields import Command
from odoo.tests import Form, tagged

from .layout_common import LayoutCommon


@tagged("post_install", "-at_install")
class TestLayout(LayoutCommon):
    """Where lines stand that are put under milestones, or leave them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.work, cls.goods = (
            cls._create_product(name=name, type=kind, lst_price=100.0, taxes_id=False)
            for name, kind in (("Work", "service"), ("Goods", "consu"))
        )

    def _create_quotation(self, *names, options=True, milestones=("Design", "Build")):
        """Make a quotation of a line per name, by default with an option that the client may take out."""
        lines = [
            {
                "product_id": (self.work if name.startswith("Work") else self.goods).id,
                "name": name,
                "sequence": number,
            }
            for number, name in enumerate(names, 1)
        ]
        if options:
            lines += [
                {"display_type": "line_section", "name": "Options", "is_optional": True, "sequence": 90},
                {"product_id": self.goods.id, "name": "Option", "sequence": 91},
            ]
        return self._create_contract([{"name": name} for name in milestones], confirm=False, lines=lines)

    def _line(self, order, name):
        return order.order_line.filtered(lambda line: line.name == name)

    def _plan(self, order, **whole):
        """Divide the work in two in the plan dialog; put whole lines, by their name, under a milestone."""
        form = Form(self.env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"]))
        form.method = "manual"
        for number in (1, 2):
            with form.line_ids.new() as row:
                row.name = f"Part {number}"
                row.percentage = 50.0
        for number, source in enumerate(form.source_ids._records):
            if source["name"] in whole:
                with form.source_ids.edit(number) as edited:
                    edited.milestone_number = whole[source["name"]]
        form.save().action_apply()

    def _undo(self, order):
        self.env["sale.milestone.planner"].browse(order.action_plan_milestones()["res_id"]).action_undo()

    # -- under a milestone ---------------------------------------------------------------------------------

    def test_lines_put_under_a_milestone_one_after_another_stand_in_that_order(self):
        order = self._create_quotation("A", "B", "C", options=False)
        build = order.milestone_ids.sorted("sequence")[1]
        build.amount_untaxed = 1.0
        for name in "ACB":
            self._line(order, name).billing_milestone_id = build
        self.assertEqual(self._layout(order), ["[Build]", "Build", "A", "C", "B"])
        self._line(order, "A").billing_milestone_id = build
        self.assertEqual(self._layout(order), ["[Build]", "Build", "A", "C", "B"], "it was there already")

    def test_lines_put_under_a_milestone_together_keep_their_order(self):
        order = self._create_quotation("A", "B", "C", options=False)
        build = order.milestone_ids.sorted("sequence")[1]
        build.amount_untaxed = 1.0
        (self._line(order, "C") + self._line(order, "A")).billing_milestone_id = build
        self.assertEqual(self._layout(order), ["B", "[Build]", "Build", "A", "C"])

    def test_a_line_that_is_dragged_under_its_milestone_stands_where_it_was_put(self):
        order = self._create_quotation("A", options=False)
        build = order.milestone_ids.sorted("sequence")[1]
        build.amount_untaxed = 1.0
        section = order.order_line.filtered("display_type")
        self._line(order, "A").write({"billing_milestone_id": build.id, "sequence": section.sequence})
        self.assertEqual(self._layout(order), ["[Build]", "A", "Build"])

    def test_a_combo_and_its_items_stay_together(self):
        order = self._create_quotation("A", "B", options=False)
        combo = self._add_combo(order, self.work, self.goods, sequence=3)
        names = combo.mapped("name")
        design, build = order.milestone_ids.sorted("sequence")
        for line in (self._line(order, "B"), combo[0], self._line(order, "A")):
            line.billing_milestone_id = build
        self.assertEqual(self._layout(order), ["[Build]", "B", *names, "A"])
        combo[1].billing_milestone_id = design
        self.assertEqual(self._layout(order), ["[Build]", "B", *names, "A"], "an item stays with its combo")
        combo[0].billing_milestone_id = False
        self.assertEqual(self._layout(order), [*names, "[Build]", "B", "A"])

    def test_a_plan_keeps_the_order_of_the_quotation_under_each_milestone(self):
        order = self._create_quotation("A", "Work 1", "B", "Work 2", "C", options=False, milestones=())
        combo = self._add_combo(order, self.work, self.goods, sequence=3)
        names = combo.mapped("name")
        before = self._layout(order)
        shares = [f"Work {number}\n50 %" for number in (1, 2)]
        self._plan(order, A=2, B=2, C=2, Bundle=2)
        self.assertEqual(
            self._layout(order),
            ["[Part 1]", *shares, "[Part 2]", "A", shares[0], "B", *names, shares[1], "C"],
        )
        self._undo(order)
        self.assertEqual(self._layout(order), before)

    def test_a_plan_of_whole_lines_keeps_the_order_of_the_quotation(self):
        order = self._create_quotation("A", "B", options=False, milestones=())
        combo = self._add_combo(order, self.work, self.goods, sequence=3)
        rows = [{"name": "Build", "contract_date": False}]
        order._apply_milestone_plan(rows, whole=dict.fromkeys(order.order_line, 0))
        self.assertEqual(self._layout(order), ["[Build]", "A", "B", *combo.mapped("name")])

    # -- out of a milestone --------------------------------------------------------------------------------

    def assertNoOptions(self, order):
        """The client takes options out in the portal: what was part of a milestone is none."""
        options = order.order_line.filtered(lambda line: not line.display_type and line._is_line_optional())
        self.assertEqual(options.mapped("name"), ["Option"])

    def test_lines_that_leave_a_milestone_are_no_options(self):
        order = self._create_quotation("A", "B", "C", "D")
        design, build = order.milestone_ids.sorted("sequence")
        (self._line(order, "B") + self._line(order, "C")).billing_milestone_id = design
        self._line(order, "D").billing_milestone_id = build
        self._line(order, "C").billing_milestone_id = False
        self.assertEqual(
            self._layout(order), ["A", "C", "[Options]", "Option", "[Design]", "B", "[Build]", "D"], "one of several"
        )
        self._line(order, "D").billing_milestone_id = False
        self.assertEqual(self._layout(order), ["A", "C", "D", "[Options]", "Option", "[Design]", "B"], "the only one")
        order.milestone_ids = [Command.delete(design.id)]
        self.assertEqual(self._layout(order), ["A", "C", "D", "B", "[Options]", "Option"], "with their milestone")
        self.assertNoOptions(order)

    def test_shares_of_a_milestone_that_is_removed_are_no_options(self):
        order = self._create_quotation("Work", milestones=())
        first, _second = order._split_into_milestones([50, 50])
        first.unlink()
        share = "Work\n50 %"
        self.assertEqual(self._layout(order), [share, "[Options]", "Option", "[Milestone 2]", share])
        self.assertNoOptions(order)

    def test_lines_put_under_a_plan_by_hand_are_no_options_when_it_is_undone(self):
        order = self._create_quotation("Work", "A", milestones=())
        self._plan(order)
        self._line(order, "A").billing_milestone_id = order.milestone_ids.sorted("sequence")[0]
        self._undo(order)
        self.assertEqual(self._layout(order), ["Work", "A", "[Options]", "Option"])
        self.assertNoOptions(order)
