from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import is_html_empty

from .agreed_change import AgreedChange


class SaleOrderLine(models.Model):
    """The text of a signed line is signed as well."""

    _inherit = "sale.order.line"

    def write(self, vals):
        if "name" in vals:
            self._check_name_frozen(vals["name"])
        return super().write(vals)

    def _check_name_frozen(self, name):
        """:raises UserError: when the text of an agreed line would change; sections follow their milestone"""
        for line in self.filtered(lambda line: line.billing_milestone_id and not line.display_type):
            if line.name != name:
                line.billing_milestone_id._check_plan_open()

    def _prepare_contract_values(self):
        self.ensure_one()
        digits = self.currency_id.decimal_places
        return {
            "id": self.id,
            "milestone": self.billing_milestone_id.id or "",
            "product": self.product_id.id or "",
            "name": self.name or "",
            "quantity": f"{self.product_uom_qty:.6f}",
            "uom": self.product_uom_id.id or "",
            "price_unit": f"{self.price_unit:.6f}",
            "discount": f"{self.discount:.4f}",
            "taxes": sorted(self.tax_ids.ids),
            "untaxed": f"{self.price_subtotal:.{digits}f}",
            "total": f"{self.price_total:.{digits}f}",
        }


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    def write(self, vals):
        """What is agreed may be detailed, and never unseen; a change order leaves a note of its own."""
        is_detailed = "description" in vals and not AgreedChange.is_under_way(self.env)
        agreed = self.filtered(lambda milestone: milestone._is_agreed()) if is_detailed else self.browse()
        before = {milestone: milestone.description for milestone in agreed}
        result = super().write(vals)
        for milestone, scope in before.items():
            if (milestone.description or "") != (scope or ""):
                milestone._note_detailed_scope(scope)
        return result

    def _note_detailed_scope(self, before):
        self.ensure_one()
        if is_html_empty(before):
            self._post_review_note(self.env._("Scope detailed after it was agreed with the client. There was none."))
            return
        note = self.env._("Scope detailed after it was agreed with the client. Before, it said:")
        self._post_review_note(Markup("<p>%s</p><blockquote>%s</blockquote>") % (note, before))

    def _get_contract_deliverables(self):
        """Return the deliverables that are signed: all of a quotation, later the same ones."""
        self.ensure_one()
        deliverables = self.deliverable_ids.sorted("id")
        if self.order_id._is_contract():
            deliverables = deliverables.filtered("is_agreed")
        return deliverables


class SaleMilestoneDeliverable(models.Model):
    """What was signed of a deliverable stays; deliverables that detail it may be added."""

    _inherit = "sale.milestone.deliverable"

    is_agreed = fields.Boolean(
        string="Part of the Contract", readonly=True, copy=False, help="Was there when the contract was signed."
    )

    is_signed = fields.Boolean(
        compute="_compute_is_signed", compute_sudo=True, help="Part of an agreed contract: it cannot be changed."
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"is_agreed"}

    @api.depends("is_agreed", "milestone_id.order_state", "milestone_id.state")
    def _compute_is_signed(self):
        for deliverable in self:
            deliverable.is_signed = deliverable.is_agreed and deliverable.milestone_id._is_agreed()

    def write(self, vals):
        names = {"name", "acceptance_criteria", "milestone_id"}.intersection(vals)
        if names:
            self.milestone_id._check_scope_free()
            if "milestone_id" in names:
                self._check_same_order(vals["milestone_id"])
            self._check_signed({name: vals[name] for name in names})
        return super().write(vals)

    def _check_signed(self, vals):
        """:raises UserError: when ``vals`` changes a deliverable that the client signed"""
        if AgreedChange.is_under_way(self.env):
            return
        for deliverable in self.filtered("is_signed"):
            current = {
                "name": deliverable.name,
                "acceptance_criteria": deliverable.acceptance_criteria or "",
                "milestone_id": deliverable.milestone_id.id,
            }
            if any(current[name] != (value or "") for name, value in vals.items()):
                raise UserError(
                    self.env._(
                        "%(deliverable)s is agreed with the client: its name, its acceptance criteria and its "
                        "milestone cannot change any more. Raise a change request.",
                        deliverable=deliverable.name,
                    )
                )

    def _prepare_contract_values(self):
        return [
            {
                "id": deliverable.id,
                "name": deliverable.name,
                "acceptance_criteria": deliverable.acceptance_criteria or "",
            }
            for deliverable in self
        ]
