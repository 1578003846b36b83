from odoo.fields import Command

from .common import MilestoneCommon


class LayoutCommon(MilestoneCommon):
    """Orders as their readers see them."""

    def _layout(self, order):
        """Return what a reader of the order sees: sections in brackets, lines by product."""
        lines = order.order_line.sorted("sequence")
        return [f"[{line.name}]" if line.display_type == "line_section" else line.name for line in lines]

    @classmethod
    def _add_combo(cls, order, *products, **values):
        """Add a combo of ``products`` to an order, as its configurator does; return its line and those of its items."""
        combos = cls.env["product.combo"].create(
            [
                {"name": product.name, "combo_item_ids": [Command.create({"product_id": product.id})]}
                for product in products
            ]
        )
        bundle = cls._create_product(name="Bundle", type="combo", combo_ids=[Command.set(combos.ids)], taxes_id=False)
        line = cls.env["sale.order.line"].create({"order_id": order.id, "product_id": bundle.id, **values})
        items = [
            {"product_id": item.product_id.id, "combo_item_id": item.id, "linked_line_id": line.id}
            for item in combos.combo_item_ids
        ]
        return line + cls.env["sale.order.line"].create([{"order_id": order.id, **values, **item} for item in items])
