from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

TERMS_FIELDS = frozenset({"milestone_terms"})
# What clauses may fill in without code: see ``mail.render.mixin``.
CLAUSE_VALUES = (
    "clause_customer",
    "clause_total",
    "clause_schedule",
    "clause_approvers",
    "clause_advance",
    "clause_retention",
    "clause_cap",
    "clause_payment",
    "milestone_review_days",
    "milestone_review_rounds",
    "client_order_ref",
)


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_contract_template_id = fields.Many2one(
        "sale.contract.template",
        string="Contract Terms",
        domain="['|', ('company_id', '=', False), ('company_id', '=', id)]",
        help="Terms of new quotations with milestones.",
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_contract_template_id = fields.Many2one(
        related="company_id.milestone_contract_template_id", readonly=False
    )


class SaleOrderTemplate(models.Model):
    _inherit = "sale.order.template"

    milestone_contract_template_id = fields.Many2one(
        "sale.contract.template",
        string="Contract Terms",
        check_company=True,
        index="btree_not_null",
        help="Terms of quotations made from this template; empty: those of the company.",
    )


class SaleOrder(models.Model):
    """The contract terms of an order: clauses of a template, filled in from the order's own values.

    A quotation renders them; a revision keeps them as they were sent, and shows them so until the
    quotation changes; the confirmation fixes them.
    """

    _inherit = "sale.order"

    milestone_contract_template_id = fields.Many2one(
        "sale.contract.template",
        string="Contract Terms",
        compute="_compute_milestone_contract_template_id",
        store=True,
        readonly=False,
        precompute=True,
        check_company=True,
        index="btree_not_null",
        help="Clauses that the client signs with the quotation.",
    )
    milestone_terms = fields.Json(string="Agreed Terms", readonly=True, copy=False)

    clause_customer = fields.Char(compute="_compute_clause_values")
    clause_total = fields.Char(compute="_compute_clause_values")
    clause_schedule = fields.Char(compute="_compute_clause_values")
    clause_approvers = fields.Char(compute="_compute_clause_values")
    clause_advance = fields.Char(compute="_compute_clause_values")
    clause_retention = fields.Char(compute="_compute_clause_values")
    clause_cap = fields.Char(compute="_compute_clause_values")
    clause_payment = fields.Char(compute="_compute_clause_values")

    @api.depends("company_id", "sale_order_template_id")
    def _compute_milestone_contract_template_id(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            company = order.company_id or self.env.company
            order.milestone_contract_template_id = (
                order.sale_order_template_id.milestone_contract_template_id or company.milestone_contract_template_id
            )

    # they are read to be written down at once, in one language: nothing invalidates them but the next environment
    @api.depends_context("lang")
    @api.depends("state", "order_line.price_total", "milestone_ids", "partner_id")
    def _compute_clause_values(self):
        for order in self:
            values = order._prepare_clause_values()
            for name, value in values.items():
                order[name] = value

    def _prepare_clause_values(self):
        """Return what clauses are filled in with, as text in the language of the environment."""
        self.ensure_one()
        order = self.sudo()
        return {
            "clause_customer": order.partner_id.commercial_partner_id.name or "",
            "clause_total": order.currency_id.format(order.amount_total),
            "clause_schedule": order._get_schedule_text(),
            "clause_approvers": ", ".join(order.milestone_approver_ids.sorted("id").mapped("display_name")),
            "clause_advance": order._get_advance_sentence(),
            "clause_retention": " ".join(order._get_retention_sentences()),
            "clause_cap": order.currency_id.format(order.milestone_cap_amount),
            "clause_payment": order.payment_term_id.name or "",
        }

    def _get_schedule_text(self):
        """Return when approved milestones are invoiced, in words."""
        texts = {
            "weekly": self.env._("weekly, on one invoice for all that was approved"),
            "monthly": self.env._("monthly, on one invoice for all that was approved"),
            "on_demand": self.env._("on one invoice for all that was approved until then"),
        }
        return texts.get(self.milestone_invoice_schedule) or self.env._("as soon as it is approved")

    @api.model
    def mail_allowed_qweb_expressions(self):
        return (
            *super().mail_allowed_qweb_expressions(),
            "object.company_id.name",
            *(f"object.{name}" for name in CLAUSE_VALUES),
        )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._refuse_terms(vals)
        context = {key: value for key, value in self.env.context.items() if key != "default_milestone_terms"}
        return super(SaleOrder, self.with_context(context)).create(vals_list)  # pylint: disable=context-overridden

    def write(self, vals):
        self._refuse_terms(vals)
        if "milestone_contract_template_id" in vals:
            self._check_terms_frozen(vals["milestone_contract_template_id"])
        return super().write(vals)

    def _refuse_terms(self, vals):
        if TERMS_FIELDS.intersection(vals):
            raise AccessError(self.env._("The agreed terms are recorded by the confirmation and cannot be changed."))

    def _check_terms_frozen(self, template_id):
        """:raises UserError: when the terms of an agreed contract would change"""
        for order in self.filtered(lambda order: order.milestone_ids._is_agreed()):
            if order.milestone_contract_template_id.id != (template_id or False):
                raise UserError(
                    self.env._(
                        "%(order)s is agreed with the client: its terms cannot change any more. "
                        "Agree on a new contract.",
                        order=order.name,
                    )
                )

    def _get_clause_conditions(self):
        """Return which conditions of clauses the order meets."""
        self.ensure_one()
        met = {
            "always": True,
            "client_approval": self.milestone_client_approval,
            "review_rounds": self._limits_review_rounds(),
            "internal_review": self.milestone_internal_review,
            "advance": self._has_advance_term(),
            "retention": self.milestone_retention_percentage > 0.0,
            "cap": self.milestone_cap_amount > 0.0,
            "payment_term": bool(self.payment_term_id),
        }
        return {condition for condition, is_met in met.items() if is_met}

    def _prepare_contract_terms(self):
        """Return the terms as of now, in the customer's language: a list of dicts ``title`` and ``body`` (HTML)."""
        self.ensure_one()
        if not self.milestone_ids or not self.milestone_contract_template_id:
            return []
        order = self.with_context(lang=self.partner_id.lang)
        # a price that changed in this transaction is in the text
        order.invalidate_recordset([name for name in CLAUSE_VALUES if name.startswith("clause_")], flush=False)
        return order.milestone_contract_template_id._render_terms(order)

    def _get_contract_terms(self):
        """Return the terms that the client sees: the agreed ones, those that were sent, or those as of now.

        :return: list of dicts ``title`` and ``body`` (HTML), in the customer's language
        """
        self.ensure_one()
        order = self.sudo()
        if order.milestone_contract_hash and order.state not in ("draft", "sent"):
            return order.milestone_terms or []
        if order.state in ("draft", "sent") and (revision := order._get_current_revision()):
            return revision._read_snapshot().get("terms", [])
        return self._prepare_contract_terms()

    def _get_shown_terms(self):
        """Return :meth:`_get_contract_terms` for a page: the text is HTML already."""
        # filled in by the engine of mail templates, which escapes values, and sanitized after that
        return [{**clause, "body": Markup(clause["body"])} for clause in self._get_contract_terms()]

    def _prepare_proposal_conditions(self):
        template = self.milestone_contract_template_id
        return {**super()._prepare_proposal_conditions(), "contract_terms": (template.id or 0, template.name or "")}

    def _agree_contract(self):
        """Fix the terms as they were sent, or else as they are now."""
        self.ensure_one()
        if not self._has_evidence():
            revision = self._get_current_revision()
            terms = revision._read_snapshot().get("terms", []) if revision else self._prepare_contract_terms()
            super(SaleOrder, self.sudo()).write({"milestone_terms": terms or False})
        return super()._agree_contract()

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self.milestone_terms:
            values["terms"] = self.milestone_terms
        return values
