from odoo import fields, models


class SaleMilestone(models.Model):
    """Billing milestones in the customer portal: what their page shows, and what the client agrees to."""

    _inherit = "sale.milestone"

    _portal_name = "milestone"

    # -- what the page shows ----------------------------------------------------------------------------

    def _get_portal_state(self):
        """Return the state as the client knows it; an internal review is work in progress.

        :return: dict of ``label``, ``color`` (of the theme) and ``rank`` (what asks for attention comes first)
        """
        self.ensure_one()
        state = "in_progress" if self.state == "internal_review" else self.state
        states = {
            "submitted": (self.env._("Waiting for Approval"), "warning"),
            "changes_requested": (self.env._("Changes Requested"), "danger"),
            "in_progress": (self.env._("In Progress"), "info"),
            "draft": (self.env._("Planned"), "secondary"),
            "approved": (self.env._("Approved"), "success"),
            "cancelled": (self.env._("Cancelled"), "secondary"),
        }
        label, color = states[state]
        return {"label": label, "color": color, "rank": list(states).index(state)}

    def _get_portal_totals(self):
        """Return Odoo's tax totals of the milestone.

        In a quotation they are its share of the whole order. Once agreed they are fixed on its lines: then
        the page of one milestone costs the same, however many others the contract has.
        """
        self.ensure_one()
        if self.order_state == "sale":
            engine, company = self.env["account.tax"], self.company_id
            base_lines = [line._prepare_base_line_for_taxes_computation() for line in self.order_line_ids]
            engine._add_tax_details_in_base_lines(base_lines, company)
            engine._round_base_lines_tax_details(base_lines, company)
            totals = engine._get_tax_totals_summary(base_lines=base_lines, currency=self.currency_id, company=company)
            if self.currency_id.compare_amounts(totals["total_amount_currency"], self.amount_total) == 0:
                return totals
        return self._get_totals()[self]

    def _get_portal_invoices(self):
        """Return the posted invoices and credit notes of the milestone, the oldest first."""
        self.ensure_one()
        moves = self.sudo().invoice_line_ids.move_id
        return moves.filtered(lambda move: move.state == "posted").sorted(lambda move: (move.date, move.id))

    def _is_waiting_for_invoice(self):
        """Whether the invoice queue is about to post the invoice."""
        self.ensure_one()
        milestone = self.sudo()
        return bool(
            milestone.state == "approved"
            and milestone.billing_state == "to_invoice"
            and not milestone.on_hold
            and milestone.order_id.milestone_invoice_policy in ("post", "send")
            and milestone.invoice_queued_on
            and milestone.invoice_queued_on <= fields.Datetime.now()
        )

    def _get_portal_words(self):
        """Return the answers to a visitor whose decision was not recorded."""
        return {
            "decided": self.env._("This milestone does not wait for a decision any more."),
            "changed": self.env._("The milestone changed since you opened it. Please look at the new version."),
            "busy": self.env._("A decision is being recorded at this moment. Please look again."),
        }

    def _get_consent(self):
        """Return the sentence that an approver agrees to, in the language of the environment."""
        self.ensure_one()
        milestone = self.sudo()
        return self.env._(
            "I approve milestone %(milestone)s (round %(round)s) of order %(order)s for %(amount)s, "
            "as shown on this page.",
            milestone=milestone.name,
            round=milestone.approval_id.round,
            order=milestone.order_id.name,
            amount=milestone.currency_id.format(milestone.amount_total),
        )
