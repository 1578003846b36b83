from odoo import api, fields, models
from odoo.exceptions import ValidationError

INVOICE_POLICIES = [
    ("manual", "Wait for an accountant"),
    ("draft", "Create a draft invoice"),
    ("post", "Create and post the invoice"),
    ("send", "Create, post and send the invoice"),
]
INVOICE_GROUPINGS = [
    ("milestone", "One per milestone"),
    ("order", "One per order"),
    ("customer", "One per customer and currency"),
]


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_product_id = fields.Many2one(
        "product.product",
        domain=[("type", "=", "service"), ("sale_ok", "=", True)],
        check_company=True,
        help="Product of the order lines that the milestone plan makes; it gives them their taxes and income account.",
    )
    milestone_internal_review = fields.Boolean(
        string="Internal Review of Milestones",
        help="A second person reviews the deliverables before the client does.",
    )
    milestone_client_approval = fields.Boolean(string="Client Approval of Milestones", default=True)
    milestone_review_days = fields.Integer(
        string="Review Period",
        default=10,
        help="Days that the client has to answer after a submission.",
    )
    milestone_link_days = fields.Integer(
        string="Validity of Approval Links",
        default=30,
        help="Days after which a personal link to review a milestone expires.",
    )
    milestone_invoice_policy = fields.Selection(
        INVOICE_POLICIES, string="On Approval of a Milestone", default="post", required=True
    )
    milestone_invoice_grouping = fields.Selection(
        INVOICE_GROUPINGS, string="Milestone Invoices", default="milestone", required=True
    )
    milestone_create_project = fields.Boolean(
        string="Create a Project for Milestone Contracts",
        default=True,
        help="When neither the order nor its products bring a project, the confirmation creates one.",
    )

    _milestone_days_positive = models.Constraint(
        "CHECK(milestone_review_days > 0 AND milestone_link_days > 0)",
        "The review period and the validity of approval links are at least one day.",
    )

    @api.constrains("milestone_internal_review", "milestone_client_approval")
    def _check_milestone_approval(self):
        for company in self:
            if not (company.milestone_internal_review or company.milestone_client_approval):
                raise ValidationError(
                    self.env._("Somebody has to approve a milestone: keep the client approval or the internal review.")
                )

    def _get_milestone_product(self):
        """Return the product of generated milestone lines (may be empty)."""
        self.ensure_one()
        return (
            self.milestone_product_id
            or self.env.ref("milestone_billing.product_milestone", raise_if_not_found=False)
            or self.env["product.product"]
        )
