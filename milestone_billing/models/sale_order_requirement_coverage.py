from odoo import fields, models

from .sale_order_requirement import INTERNAL

# What a page of the PDF has room for, in columns of milestones.
PRINTED_COLUMNS = 5


class SaleOrder(models.Model):
    """The coverage matrix: which requirement is met by which deliverable of which milestone."""

    _inherit = "sale.order"

    requirement_coverage = fields.Html(
        string="Coverage",
        compute="_compute_requirement_coverage",
        compute_sudo=True,
        sanitize=False,  # made by our own template, which escapes what people typed
        groups=INTERNAL,
    )

    def _compute_requirement_coverage(self):
        for order in self:
            order.requirement_coverage = self.env["ir.qweb"]._render(
                "milestone_billing.requirement_coverage",
                {"order": order, "coverage": order._get_requirement_coverage(), "report_type": "html"},
            )

    def _get_requirement_coverage(self, columns=None):
        """Return who meets what, as the screen and the PDF show it.

        :param int columns: as many milestones side by side at most; all of them by default
        :return: dict of

            * ``groups``: a list of (label, state, requirements), the uncovered first
            * ``blocks``: the milestones that are not cancelled, numbered and by ``columns``
            * ``cells``: deliverables by requirement and milestone
            * ``loose``: deliverables without a requirement, by milestone
            * ``uncovered_musts``: requirements
        """
        self.ensure_one()
        order = self.sudo()  # whoever reads the order may read what it is about
        milestones = order.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled")
        numbered = list(enumerate(milestones.sorted(lambda milestone: (milestone.sequence, milestone.id)), 1))
        width = columns or len(numbered) or 1
        by_state = order.requirement_ids.sorted(lambda requirement: (requirement.sequence, requirement.id)).grouped(
            "state"
        )
        return {
            "groups": [
                (label, state, by_state[state])
                for state, label in self.env["sale.requirement"]._fields["state"]._description_selection(self.env)
                if state in by_state
            ],
            "blocks": [numbered[start : start + width] for start in range(0, len(numbered), width)] or [[]],
            "cells": {
                requirement: requirement.deliverable_ids.grouped("milestone_id")
                for requirement in order.requirement_ids
            },
            "loose": {
                milestone: deliverables
                for _number, milestone in numbered
                if (deliverables := milestone.deliverable_ids.filtered(lambda known: not known.requirement_ids))
            },
            "uncovered_musts": order._get_uncovered_musts(),
        }

    def _get_printed_requirement_coverage(self):
        """Return the coverage in pieces that fit on paper."""
        return self._get_requirement_coverage(columns=PRINTED_COLUMNS)

    def action_view_requirement_coverage(self):
        """Open the coverage matrix of an order."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Requirements and Coverage"),
            "res_model": "sale.order",
            "res_id": self.id,
            "views": [(self.env.ref("milestone_billing.sale_order_view_form_requirement_coverage").id, "form")],
        }
