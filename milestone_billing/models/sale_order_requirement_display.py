from odoo import api, fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_show_requirements = fields.Boolean(string="Requirements on Quotations")


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_show_requirements = fields.Boolean(related="company_id.milestone_show_requirements", readonly=False)


class SaleOrder(models.Model):
    """The requirements as the client sees them, on the quotation's PDF and portal page."""

    _inherit = "sale.order"

    milestone_show_requirements = fields.Boolean(
        string="Show Requirements",
        compute="_compute_milestone_show_requirements",
        store=True,
        readonly=False,
        precompute=True,
        help="Put the requirements, and what meets them, on the quotation's PDF and portal page.",
    )

    @api.depends("company_id")
    def _compute_milestone_show_requirements(self):
        for order in self:
            company = order.company_id or self.env.company
            order.milestone_show_requirements = company.milestone_show_requirements

    def _get_shown_requirements(self):
        """Return the requirements that the client sees, in their order (may be empty)."""
        self.ensure_one()
        order = self.sudo()  # whoever reads the document may read what it shows
        if not order.milestone_show_requirements:
            return order.requirement_ids.browse()
        return order.requirement_ids.sorted(lambda requirement: (requirement.sequence, requirement.id))
