from odoo import api, fields, models


class SaleMilestonePlannerLine(models.TransientModel):
    _name = "sale.milestone.planner.line"
    _inherit = ["sale.milestone.dialog.mixin"]
    _description = "Planned Milestone"
    _order = "planner_id, sequence, id"

    _dialog_documents = frozenset({"planner_id", "milestone_id"})
    _dialog_free = frozenset({"milestone_id"})

    planner_id = fields.Many2one("sale.milestone.planner", required=True, ondelete="cascade")
    currency_id = fields.Many2one(related="planner_id.currency_id")
    # a row added by hand comes last
    sequence = fields.Integer(default=10000)
    milestone_id = fields.Many2one("sale.milestone", readonly=True, help="The present milestone that this row keeps.")
    template_line_id = fields.Many2one("sale.milestone.template.line", readonly=True)
    name = fields.Char(required=True)
    contract_date = fields.Date()
    weight = fields.Float(default=1.0)
    # no digits: a third is a third
    percentage = fields.Float(string="%", help="Share of the divided order lines, 0 to 100.")
    amount = fields.Monetary(string="Divided Amount", help="Untaxed share of the divided order lines.")
    number = fields.Integer(string="No.", compute="_compute_number")
    deliverable_names = fields.Char(string="Deliverables", compute="_compute_deliverable_names")
    whole_amount = fields.Monetary(
        string="Whole Lines", compute="_compute_amounts", help="Untaxed amount of order lines that are not divided."
    )
    share = fields.Float(string="Share (%)", compute="_compute_amounts", help="Share of all that is planned, untaxed.")
    amount_untaxed = fields.Monetary(string="Untaxed", compute="_compute_amounts")
    amount_tax = fields.Monetary(string="Taxes", compute="_compute_amounts")
    amount_total = fields.Monetary(string="Total", compute="_compute_amounts")

    @api.depends("planner_id.line_ids")
    def _compute_number(self):
        for planner in self.planner_id:
            for number, row in enumerate(planner.line_ids, 1):
                row.number = number

    @api.depends("milestone_id", "template_line_id")
    def _compute_deliverable_names(self):
        for row in self:
            deliverables = row.milestone_id.deliverable_ids or row.template_line_id.deliverable_ids
            row.deliverable_names = ", ".join(deliverables.mapped("name"))

    @api.depends(
        "planner_id.split_by",
        "planner_id.contract_sum",
        "planner_id.line_ids.percentage",
        "planner_id.line_ids.amount",
        "planner_id.source_ids.divide",
        "planner_id.source_ids.milestone_number",
    )
    def _compute_amounts(self):
        """One preview for all rows of a plan: each depends on the others."""
        for planner in self.planner_id:
            preview = planner._get_preview()
            whole = planner.source_ids.filtered(lambda source: not source.divide).grouped("milestone_number")
            planned = 0.0
            for number, row in enumerate(planner.line_ids, 1):
                part = preview.get(row, {"untaxed": 0.0, "tax": 0.0, "total": 0.0})
                sources = whole.get(number, self.env["sale.milestone.planner.source"])
                row.whole_amount = sum(sources.mapped("amount_untaxed"))
                row.amount_untaxed = part["untaxed"] + row.whole_amount
                row.amount_tax = part["tax"] + sum(sources.mapped("amount_tax"))
                row.amount_total = part["total"] + sum(sources.mapped("amount_total"))
                planned += row.amount_untaxed
            for row in planner.line_ids:
                row.share = planned and row.amount_untaxed / planned * 100

    def _prepare_plan_row(self):
        """Return the row as ``sale.order._apply_milestone_plan`` takes it."""
        self.ensure_one()
        return {
            "milestone": self.milestone_id.exists(),
            "name": self.name,
            "contract_date": self.contract_date,
            "percentage": self.percentage if self.planner_id.split_by == "percentage" else 0.0,
            "amount": self.amount,
            "template_line": self.template_line_id,
        }
