from odoo import api, fields, models

PLAN_DISPLAYS = [
    ("none", "Not shown"),
    ("summary", "Summary: milestones, dates and amounts"),
    ("detailed", "Detailed: with deliverables and acceptance criteria"),
]

# context of the documents that show the whole plan
WHOLE_PLAN = "milestone_whole_plan"


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_plan_display = fields.Selection(
        PLAN_DISPLAYS, string="Payment Plan on Quotations", default="summary", required=True
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_plan_display = fields.Selection(
        related="company_id.milestone_plan_display", readonly=False, required=True
    )


class SaleOrder(models.Model):
    """The payment plan as the client sees it, on the quotation's PDF and portal page."""

    _inherit = "sale.order"

    milestone_plan_display = fields.Selection(
        PLAN_DISPLAYS,
        string="Payment Plan",
        compute="_compute_milestone_plan_display",
        store=True,
        readonly=False,
        precompute=True,
        help="What the client sees of the plan on the quotation's PDF and portal page.",
    )

    @api.depends("company_id")
    def _compute_milestone_plan_display(self):
        for order in self:
            company = order.company_id or self.env.company
            order.milestone_plan_display = company.milestone_plan_display

    def _get_plan_display(self):
        """Return what is shown of the plan: all of it in a signed contract."""
        self.ensure_one()
        return "detailed" if self.env.context.get(WHOLE_PLAN) else self.milestone_plan_display

    def _get_payment_plan(self):
        """Return the rows of the payment plan and its sums, or an empty dict when there is none to show.

        Amounts are in the currency of the order, shares 0 to 100. ``rest`` is what belongs to no
        milestone, or False; together with the milestones it is the order.
        """
        self.ensure_one()
        order = self.sudo()  # whoever reads the document may read its plan
        milestones = order.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        display = order._get_plan_display()
        if not milestones or display == "none":
            return {}
        milestones = milestones.sorted(lambda milestone: (milestone.sequence, milestone.id))
        planned = {
            "share": sum(milestones.mapped("percentage")),
            "untaxed": sum(milestones.mapped("amount_untaxed")),
            "tax": sum(milestones.mapped("amount_tax")),
            "total": sum(milestones.mapped("amount_total")),
        }
        whole = {
            "share": 100.0,
            "untaxed": order.amount_untaxed,
            "tax": order.amount_tax,
            "total": order.amount_total,
        }
        rest = {name: whole[name] - planned[name] for name in whole}
        if order.currency_id.is_zero(rest["untaxed"]) and order.currency_id.is_zero(rest["total"]):
            rest, whole = False, planned
        numbers = {milestone: number for number, milestone in enumerate(milestones, 1)}
        return {
            "milestones": milestones,
            "numbers": numbers,
            "after": {
                milestone: ", ".join(str(numbers[other]) for other in milestones if other in milestone.predecessor_ids)
                for milestone in milestones
            },
            "detailed": display == "detailed",
            "rest": rest,
            "sum": whole,
        }
