from odoo import api, fields, models
from odoo.tools import html_sanitize

CLAUSE_CONDITIONS = [
    ("always", "Always"),
    ("client_approval", "The client approves milestones"),
    ("review_rounds", "The included review rounds are limited"),
    ("internal_review", "Milestones are reviewed inside first"),
    ("advance", "An advance is agreed"),
    ("retention", "Retention is agreed"),
    ("cap", "A cap is agreed"),
    ("payment_term", "Payment terms are chosen"),
]


class SaleContractTemplate(models.Model):
    """Contract terms of a kind of engagement: clauses that are filled in from the order."""

    _name = "sale.contract.template"
    _description = "Contract Terms"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    company_id = fields.Many2one("res.company", index=True)
    line_ids = fields.One2many("sale.contract.template.line", "template_id", string="Clauses", copy=True)

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        return [
            {**vals, "name": self.env._("%s (copy)", template.name)} if not (default or {}).get("name") else vals
            for template, vals in zip(self, vals_list, strict=True)
        ]

    def _render_terms(self, order):
        """Return the clauses that concern ``order``, filled in from it: a list of dicts ``title`` and ``body``.

        In the language of the environment; ``body`` is HTML that is safe to show.
        """
        self.ensure_one()
        conditions = order._get_clause_conditions()
        clauses = self.line_ids.filtered(lambda clause: clause.condition in conditions)
        return [{"title": clause.name, "body": clause._render_clause(order)} for clause in clauses]


class SaleContractTemplateLine(models.Model):
    """A clause. Its text is a template of Odoo's own engine, like the body of an e-mail template.

    Whoever may edit clauses fills in the values of ``sale.order.mail_allowed_qweb_expressions``; any other
    code is for members of *Mail Template Editor*, as in e-mail templates.
    """

    _name = "sale.contract.template.line"
    _description = "Contract Clause"
    _inherit = ["mail.render.mixin"]
    _order = "template_id, sequence, id"
    _unrestricted_rendering = True  # everybody may render what only editors may write

    template_id = fields.Many2one("sale.contract.template", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="template_id.company_id", store=True)
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Clause", required=True, translate=True)
    condition = fields.Selection(CLAUSE_CONDITIONS, string="Applies When", default="always", required=True)
    body = fields.Html(
        string="Text", render_engine="qweb", translate=True, sanitize="email_outgoing", sanitize_attributes=False
    )

    @api.depends("template_id")
    def _compute_render_model(self):
        self.render_model = "sale.order"

    def _render_clause(self, order):
        self.ensure_one()
        rendered = self._render_field("body", order.ids)[order.id]
        return str(html_sanitize(rendered))
