from odoo import fields, models
from odoo.tools import html2plaintext

from .sale_order_retention import RETENTION_TERMS


class SaleOrder(models.Model):
    """What a proposal says: the data that revisions keep, compare and hash."""

    _inherit = "sale.order"

    def _prepare_proposal_values(self):
        """Return what the proposal says, as JSON values.

        Milestones and order lines refer to each other by position. Below the keys ``id``, ``figures``,
        ``labels`` and ``terms`` stands what follows from the rest, or names it: it is kept and shown, but
        the proposal is the same without. So a renamed tax, or an option that the client chose in the
        portal, makes no new revision. Extensions add keys: a list of rows with ``name``, or a value.
        """
        self.ensure_one()
        order = self.with_context(lang=self.partner_id.lang)
        milestones = order.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        milestones = milestones.sorted(lambda milestone: (milestone.sequence, milestone.id))
        positions = {milestone: number for number, milestone in enumerate(milestones, 1)}
        conditions = order._prepare_proposal_conditions()
        lines = order._get_proposal_lines()
        return {
            "order": order.name,
            "customer": order.partner_id.id,
            "currency": order.currency_id.name,
            "milestones": [milestone._prepare_proposal_values(positions) for milestone in milestones],
            "lines": [line._prepare_proposal_values(positions) for line in lines],
            "conditions": {key: value for key, (value, _text) in conditions.items()},
            "figures": {
                "untaxed": order._format_proposal_amount(order.amount_untaxed),
                "tax": order._format_proposal_amount(order.amount_tax),
                "total": order._format_proposal_amount(order.amount_total),
            },
            "labels": {
                "taxes": {str(tax.id): tax.name for tax in lines.tax_ids},
                "conditions": {key: text for key, (_value, text) in conditions.items()},
            },
        }

    def _get_proposal_lines(self):
        """Return the order lines of the proposal; the sections that milestones have of themselves tell nothing new."""
        self.ensure_one()
        lines = self.order_line.filtered(
            lambda line: not line.is_downpayment and not (line.display_type and line.billing_milestone_id)
        )
        return lines.sorted(lambda line: (line.sequence, line.id))

    def _prepare_proposal_conditions(self):
        """Return the conditions of the proposal: dict of tuples of a JSON value and the same in words."""
        self.ensure_one()
        billed = dict(self._fields["milestone_invoice_schedule"]._description_selection(self.env))
        # which share of the order an advance is follows from what the client chooses
        prepayment = "advance" if self._prepays_advance() else self._format_prepayment()
        cap = self._format_proposal_amount(self.milestone_cap_amount) if self.milestone_cap_amount else ""
        note = self.note or ""
        return {
            "review": (self._get_review_values(), self._get_review_sentence()),
            "advance": (self._get_advance_values(), self._get_advance_sentence()),
            "retention": (
                {name: self._format_retention_term(name) for name in sorted(RETENTION_TERMS)}
                if self.milestone_retention_percentage
                else {},
                " ".join(self._get_retention_sentences()),
            ),
            "cap": (cap, self.currency_id.format(self.milestone_cap_amount) if cap else ""),
            "billing": (
                [
                    self.milestone_invoice_schedule or "",
                    self.milestone_invoice_weekday or "",
                    self.milestone_invoice_month_day or 0,
                ],
                billed.get(self.milestone_invoice_schedule, ""),
            ),
            "payment_term": (self.payment_term_id.id or 0, self.payment_term_id.name or ""),
            "prepayment": (
                prepayment,
                f"{self._format_percentage(self.prepayment_percent * 100)} %" if prepayment else "",
            ),
            "note": (str(note), html2plaintext(note, include_references=False).strip() if note else ""),
        }

    def _format_prepayment(self):
        return f"{self.prepayment_percent:.4f}" if self.require_payment else ""

    def _get_proposal_hashes(self):
        """Return the hashes of what the order says: the first one is today's, revisions may be older."""
        self.ensure_one()
        # a hash tells nothing, and whoever asks may see less of the order than the client signs
        order = self.sudo()
        values = order._prepare_proposal_values()
        contents = [values]
        if order._prepays_advance():  # revisions used to name the share
            conditions = {**values["conditions"], "prepayment": order._format_prepayment()}
            contents.append({**values, "conditions": conditions})
        return [self.env["sale.order.revision"]._hash_content(content) for content in contents]

    def _get_review_values(self):
        values = {
            "client": self.milestone_client_approval,
            "days": self.milestone_review_days,
            "approvers": sorted(self.milestone_approver_ids.ids),
        }
        if self._limits_review_rounds():  # a proposal without a limit says no more than before
            values["rounds"] = self.milestone_review_rounds
        return values

    def _limits_review_rounds(self):
        """Whether the price includes a number of presentations, and further ones are a change."""
        self.ensure_one()
        return self.milestone_client_approval and self.milestone_review_rounds > 0

    def _get_review_sentence(self):
        if not self.milestone_client_approval:
            return ""
        sentence = self.env._(
            "%(days)s days to review each milestone; approved by %(names)s.",
            days=self.milestone_review_days,
            names=", ".join(self.milestone_approver_ids.sorted("id").mapped("display_name")),
        )
        if self._limits_review_rounds():
            sentence += " " + self.env._("Included review rounds per milestone: %s.", self.milestone_review_rounds)
        return sentence

    def _get_advance_values(self):
        if not self._has_advance_term():
            return {}
        is_percentage = self.milestone_advance_type == "percentage"
        return {
            "type": self.milestone_advance_type,
            "value": f"{self.milestone_advance_percentage:.4f}"
            if is_percentage
            else self._format_proposal_amount(self.milestone_advance_amount),
            "recovery": self.milestone_advance_recovery,
        }

    def _get_advance_sentence(self):
        """Return the agreed advance as a sentence in the language of the environment, or an empty string."""
        if not self._has_advance_term():
            return ""
        advance = (
            self.env._("%s %% of the milestones", self._format_percentage(self.milestone_advance_percentage))
            if self.milestone_advance_type == "percentage"
            else self.env._("%s, taxes included", self.currency_id.format(self.milestone_advance_amount))
        )
        if self.milestone_advance_recovery == "first_in":
            return self.env._("%s, deducted from the first invoices of the milestones until it is used up.", advance)
        return self.env._("%s, deducted from the invoice of each milestone in proportion.", advance)

    def _format_proposal_amount(self, amount):
        return f"{amount:.{self.currency_id.decimal_places}f}"

    def _prepare_proposal_snapshot(self):
        """Return what is kept of the proposal when it is sent: what it says, and the rendered terms."""
        self.ensure_one()
        return {**self.sudo()._prepare_proposal_values(), "terms": self._prepare_contract_terms()}


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    def _prepare_proposal_values(self, positions):
        """Return what a proposal says of the milestone; ``positions`` are the numbers of all milestones."""
        self.ensure_one()
        return {
            "id": self.id,
            "name": self.name,
            "description": str(self.description or ""),
            "contract_date": fields.Date.to_string(self.contract_date) or "",
            "after": sorted(positions[other] for other in self.predecessor_ids if other in positions),
            "deliverables": [
                {
                    "id": deliverable.id,
                    "name": deliverable.name,
                    "acceptance_criteria": deliverable.acceptance_criteria or "",
                }
                for deliverable in self.deliverable_ids.sorted(lambda row: (row.sequence, row.id))
            ],
            "figures": {
                "untaxed": self._format_exact(self.amount_untaxed),
                "total": self._format_exact(self.amount_total),
            },
        }


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _prepare_proposal_values(self, positions):
        """Return what a proposal says of the line. What the client chooses in the portal is no part of it."""
        self.ensure_one()
        amounts = self.order_id._format_proposal_amount
        values = {
            "id": self.id,
            "name": self.name,
            "kind": self.display_type or "line",
            "figures": {"untaxed": amounts(self.price_subtotal), "total": amounts(self.price_total)},
        }
        if self.display_type:
            return values
        quantity = f"{self.product_uom_qty:.6f}".rstrip("0").rstrip(".")
        is_optional = self._is_line_optional()
        return {
            **values,
            "product": self.product_id.id or 0,
            "price": f"{self.price_unit:.6f}",
            "discount": f"{self.discount:.4f}".rstrip("0").rstrip("."),
            "taxes": sorted(self.tax_ids.ids),
            "milestone": positions.get(self.billing_milestone_id, 0),
            "optional": is_optional,
            "quantity": "" if is_optional else quantity,
            "figures": {**values["figures"], "quantity": quantity},
        }
