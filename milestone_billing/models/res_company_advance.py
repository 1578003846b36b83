from odoo import fields, models

ADVANCE_TYPES = [("none", "No advance"), ("percentage", "Percentage"), ("amount", "Amount")]
ADVANCE_RECOVERIES = [
    ("pro_rata", "In proportion, on each milestone"),
    ("first_in", "As much as possible, until used up"),
]
ADVANCE_POLICIES = [("manual", "By hand"), ("automatic", "After the confirmation")]


class ResCompany(models.Model):
    _inherit = "res.company"

    # an amount is agreed from order to order, and in its currency
    milestone_advance_type = fields.Selection(
        ADVANCE_TYPES[:2], string="Advance on Milestone Contracts", default="none", required=True
    )
    milestone_advance_percentage = fields.Float(
        string="Advance on Milestone Contracts (%)",
        digits=(16, 4),
        default=20.0,
        help="Share of the milestones that is paid in advance, 0–100.",
    )
    milestone_advance_recovery = fields.Selection(
        ADVANCE_RECOVERIES, string="Recovery of Advances", default="pro_rata", required=True
    )
    milestone_advance_policy = fields.Selection(
        ADVANCE_POLICIES, string="Invoice of Advances", default="automatic", required=True
    )

    _milestone_advance_percentage = models.Constraint(
        "CHECK(milestone_advance_percentage >= 0 AND milestone_advance_percentage <= 100)",
        "An advance is between 0 and 100 % of the milestones.",
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_advance_type = fields.Selection(
        related="company_id.milestone_advance_type", readonly=False, required=True
    )
    milestone_advance_percentage = fields.Float(related="company_id.milestone_advance_percentage", readonly=False)
    milestone_advance_recovery = fields.Selection(
        related="company_id.milestone_advance_recovery", readonly=False, required=True
    )
    milestone_advance_policy = fields.Selection(
        related="company_id.milestone_advance_policy", readonly=False, required=True
    )
