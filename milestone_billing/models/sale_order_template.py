from odoo import fields, models


class SaleOrderTemplate(models.Model):
    _inherit = "sale.order.template"

    milestone_template_id = fields.Many2one(
        "sale.milestone.template",
        check_company=True,
        index="btree_not_null",
        help="Quotations made from this template are planned by these milestones when they are saved.",
    )
    milestone_project_template_id = fields.Many2one(
        "project.project",
        string="Project Template",
        domain=[("is_template", "=", True)],
        check_company=True,
        index="btree_not_null",
        help="Projects of orders that are made from this template are made from that one.",
    )
