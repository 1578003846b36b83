from odoo import models

from .agreed_change import Rearrangement


class SaleOrder(models.Model):
    """The product catalog beside a plan: it makes free lines, which no section of a milestone can have."""

    _inherit = "sale.order"

    def _get_sections(self, child_field, **kwargs):
        """Offer the free sections, and free lines without one."""
        sections = super()._get_sections(child_field, **kwargs)
        planned = self._get_milestone_sections()
        if not planned:
            return sections
        sections = [section for section in sections if section["id"] not in planned.ids]
        if all(section["id"] for section in sections):
            sequence = min(self.order_line.mapped("sequence")) - 1
            none = {"id": False, "name": self.env._("No Section"), "sequence": sequence, "line_count": 0}
            sections.insert(0, none)
        return sections

    def _get_product_catalog_record_lines(self, product_ids, *, section_id=None, **kwargs):
        section_id = self._get_catalog_section_id(section_id)
        return super()._get_product_catalog_record_lines(product_ids, section_id=section_id, **kwargs)

    def _update_order_line_info(self, product_id, quantity, *, section_id=False, **kwargs):
        section_id = self._get_catalog_section_id(section_id)
        return super()._update_order_line_info(product_id, quantity, section_id=section_id, **kwargs)

    def _get_new_line_sequence(self, child_field, section_id):
        """Make room for a line, which is arranged with all others when it is there."""
        return super(SaleOrder, Rearrangement.mark(self))._get_new_line_sequence(child_field, section_id)

    def _get_catalog_section_id(self, section_id):
        """Return the section that the catalog means: None is the first one, and a milestone's is none."""
        section_ids = self._get_milestone_sections().ids
        first = self.order_line[:1].id
        return False if (first if section_id is None else section_id) in section_ids else section_id

    def _get_milestone_sections(self):
        return self.order_line.filtered(lambda line: line.billing_milestone_id and line.display_type == "line_section")
