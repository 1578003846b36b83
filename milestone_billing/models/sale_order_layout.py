from odoo import models

from .agreed_change import AgreedChange, Rearrangement

HEADINGS = ("line_section", "line_subsection")


class SaleOrder(models.Model):
    """Where the lines of milestones stand on the order: each milestone is a section."""

    _inherit = "sale.order"

    def _arrange_milestone_lines(self, moved=None):
        """Give each milestone a section, and put the sections behind the free lines.

        A section reaches to the next one: a free line that follows a milestone would be shown, and
        invoiced, under that milestone's name. Down payments come last, as in native orders.

        :param moved: lines that were put under a milestone just now, or taken out of one
        """
        if AgreedChange.is_under_way(self.env) or Rearrangement.is_under_way(self.env):
            return  # once, when all of the change is there
        for order in self.filtered("milestone_ids"):
            order._ensure_milestone_sections()
            lines = order.order_line.sorted(lambda line: (line.sequence, line._origin.id or 0))
            arranged = order._get_arranged_lines(lines, moved)
            if arranged == [*lines]:
                continue
            for sequence, line in enumerate(arranged, 1):
                if line.sequence != sequence:
                    line._write_past_guard({"sequence": sequence})
        # whoever reads the lines next, an invoice for one, reads them in this order
        self.invalidate_recordset(["order_line"], flush=False)
        self.order_line.invalidate_recordset(["parent_id"], flush=False)

    def _get_arranged_lines(self, lines, moved):
        """Return ``lines`` as they should stand; those that moved stand behind the others of their new place."""
        nothing = self.env["sale.order.line"]
        moved = lines & (moved or nothing)
        by_milestone = (lines - moved + moved).grouped("billing_milestone_id")
        free = by_milestone.get(self.env["sale.milestone"], nothing)
        advances = free.filtered("is_downpayment")
        arranged = self._get_arranged_free_lines(free - advances - moved, free & moved)
        for milestone in self.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id)):
            arranged += by_milestone.get(milestone, nothing).sorted(lambda line: line.display_type != "line_section")
        return [*arranged, *advances]

    def _get_arranged_free_lines(self, lines, moved):
        """Put what left a milestone before the first section: in one of options, the client could take it out."""
        count = next((number for number, line in enumerate(lines) if line.display_type in HEADINGS), len(lines))
        return [*lines[:count], *moved, *lines[count:]]

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
