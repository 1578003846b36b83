from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_cap_warning = fields.Float(
        string="Warning before a Cap (%)",
        default=80.0,
        help="Share of the cap of an order, 0 to 100, from which on salesperson and project manager are warned.",
    )

    _milestone_cap_warning_percent = models.Constraint(
        "CHECK(milestone_cap_warning > 0 AND milestone_cap_warning <= 100)",
        "The warning of a cap comes at more than 0 and at most 100 percent.",
    )
