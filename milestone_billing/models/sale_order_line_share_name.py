import re

from odoo import models

# Stands for the number in a text; no name has it.
PLACE = "\0"
NUMBER = re.compile(r"\d+(\W\d+)?")


class SaleOrderLine(models.Model):
    """A share says what it is a part of, as long as it is that part."""

    _inherit = "sale.order.line"

    def write(self, vals):
        changed = self.browse()
        if "price_unit" in vals and vals.keys().isdisjoint({"name", "extra_tax_data"}):
            changed = self.filtered(
                lambda line: (
                    line.milestone_source_id
                    and line.state in ("draft", "sent")
                    and line._is_changed_by("price_unit", vals["price_unit"])
                )
            )
        result = super().write(vals)
        changed._drop_share_text()
        return result

    def _drop_share_text(self):
        """Give shares the name of their line again; what somebody wrote stays."""
        for line in self:
            noted = line.milestone_source_id.milestone_source_values
            if noted and "name" in noted and line._has_share_text(noted):
                line.name = noted["name"]

    def _has_share_text(self, noted):
        """Whether the name of a share is still that of :meth:`_get_share_name`.

        :param dict noted: what its line was before the division
        """
        self.ensure_one()
        line = self.with_context(lang=self.order_id._get_lang())
        unit = line.env["uom.uom"].browse(noted["product_uom_id"])
        text = line._get_share_text(PLACE, noted["product_uom_qty"], unit)
        before, after = f"{noted['name']}\n{text}".split(PLACE)
        name = line.name or ""
        return (
            name.startswith(before)
            and name.endswith(after)
            and bool(NUMBER.fullmatch(name[len(before) : len(name) - len(after)]))
        )

    def _get_share_name(self, percentage):
        """Return the description of a share, in the language of the customer."""
        self.ensure_one()
        line = self.with_context(lang=self.order_id._get_lang())
        share = line.order_id._format_percentage(round(percentage, 2))
        return f"{line.name}\n{line._get_share_text(share, line.product_uom_qty, line.product_uom_id)}"

    def _get_share_text(self, share, quantity, unit):
        self.ensure_one()
        if quantity == 1:
            return self.env._("%(share)s %%", share=share)
        return self.env._(
            "%(share)s %% of %(quantity)s %(unit)s",
            share=share,
            quantity=self.order_id._format_percentage(quantity),
            unit=unit.display_name,
        )
