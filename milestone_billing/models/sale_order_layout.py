from odoo import models

from .agreed_change import AgreedChange


class SaleOrder(models.Model):
    """Where the lines of milestones stand on the order: each milestone is a section."""

    _inherit = "sale.order"

    def _arrange_milestone_lines(self):
        """Give each milestone a section, and put the sections behind the free lines.

        A section reaches to the next one: a free line that follows a milestone would be shown, and
        invoiced, under that milestone's name. Down payments come last, as in native orders.
        """
        if AgreedChange.is_under_way(self.env):
            return  # once, when all of the change is there
        for order in self.filtered("milestone_ids"):
            order._ensure_milestone_sections()
            lines = order.order_line.sorted(lambda line: (line.sequence, line._origin.id or 0))
            by_milestone = lines.grouped("billing_milestone_id")
            free = by_milestone.get(self.env["sale.milestone"], self.env["sale.order.line"])
            advances = free.filtered("is_downpayment")
            arranged = [*(free - advances)]
            for milestone in order.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id)):
                arranged += by_milestone.get(milestone, self.env["sale.order.line"]).sorted(
                    lambda line: line.display_type != "line_section"
                )
            arranged += advances
            if arranged == [*lines]:
                continue
            for sequence, line in enumerate(arranged, 1):
                if line.sequence != sequence:
                    line._write_past_guard({"sequence": sequence})
        # whoever reads the lines next, an invoice for one, reads them in this order
        self.invalidate_recordset(["order_line"], flush=False)
        self.order_line.invalidate_recordset(["parent_id"], flush=False)

    def _ensure_milestone_sections(self):
        self.ensure_one()
        lines = self.order_line.filtered("billing_milestone_id")
        sections = lines.filtered(lambda line: line.display_type == "line_section")
        filled = (lines - sections).filtered(lambda line: not line.display_type).billing_milestone_id
        if self.state != "sale":
            empty = sections.filtered(lambda line: line.billing_milestone_id not in filled)
            sections -= empty
            empty.unlink()
        for section in sections:
            if section.name != section.billing_milestone_id.name:
                section.name = section.billing_milestone_id.name
        self.env["sale.order.line"].create(
            [self._prepare_milestone_section(milestone) for milestone in filled - sections.billing_milestone_id]
        )

    def _prepare_milestone_section(self, milestone):
        return {
            "order_id": self.id,
            "display_type": "line_section",
            "name": milestone.name,
            "billing_milestone_id": milestone.id,
            "collapse_composition": True,
        }
