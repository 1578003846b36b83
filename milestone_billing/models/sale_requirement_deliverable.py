from odoo import api, fields, models


class SaleMilestoneDeliverable(models.Model):
    """Which requirements a deliverable meets."""

    _inherit = "sale.milestone.deliverable"

    requirement_ids = fields.Many2many(
        "sale.requirement",
        "sale_requirement_deliverable_rel",
        "deliverable_id",
        "requirement_id",
        string="Requirements",
        copy=False,
        domain="[('order_id', '=', order_id)]",
        help="Requirements of the same order that the deliverable meets.",
    )

    @api.depends("name", "milestone_id.name")
    @api.depends_context("deliverable_with_milestone")
    def _compute_display_name(self):
        for deliverable in self:
            if self.env.context.get("deliverable_with_milestone"):
                deliverable.display_name = f"{deliverable.milestone_id.name or ''} – {deliverable.name or ''}"
            else:
                deliverable.display_name = deliverable.name

    @api.constrains("requirement_ids")
    def _check_requirements(self):
        self.requirement_ids._check_same_order()

    @api.model_create_multi
    def create(self, vals_list):
        if any(vals.get("requirement_ids") for vals in vals_list):
            self.env["sale.requirement"].check_access("write")
        return super().create(vals_list)

    def write(self, vals):
        if "requirement_ids" in vals:
            # what meets a requirement is said by those who write requirements
            (self.requirement_ids or self.env["sale.requirement"]).check_access("write")
        return super().write(vals)
