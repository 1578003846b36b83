from odoo import api, fields, models
from odoo.exceptions import UserError

from .sale_milestone import AMOUNT_GROUPS


class SaleOrder(models.Model):
    """The contract and its changes: what was signed, what was changed since, and what it is now."""

    _inherit = "sale.order"

    change_request_ids = fields.One2many("sale.change.request", "order_id", string="Change Requests", copy=False)
    change_request_count = fields.Integer(compute="_compute_change_request_count", compute_sudo=True)
    open_change_request_count = fields.Integer(compute="_compute_change_request_count", compute_sudo=True)
    change_order_ids = fields.One2many(
        "sale.change.request",
        "order_id",
        string="Change Orders",
        domain=[("state", "=", "approved")],
        readonly=True,
        copy=False,
    )
    change_order_count = fields.Integer(readonly=True, copy=False)
    milestone_original_amount = fields.Monetary(
        string="Original Contract",
        compute="_compute_contract_amounts",
        compute_sudo=True,
        groups=AMOUNT_GROUPS,
        help="Untaxed sum of the milestones that were signed.",
    )
    milestone_changes_amount = fields.Monetary(
        string="Approved Changes", compute="_compute_contract_amounts", compute_sudo=True, groups=AMOUNT_GROUPS
    )
    milestone_revised_amount = fields.Monetary(
        string="Revised Contract", compute="_compute_contract_amounts", compute_sudo=True, groups=AMOUNT_GROUPS
    )
    milestone_review_rounds = fields.Integer(
        string="Included Review Rounds",
        compute="_compute_milestone_review_rounds",
        store=True,
        readonly=False,
        precompute=True,
        help="Presentations to the client that the price of a milestone includes; 0: as many as it takes. "
        "When the client asks for more, a change request is proposed.",
    )

    _milestone_review_rounds_not_negative = models.Constraint(
        "CHECK(milestone_review_rounds IS NULL OR milestone_review_rounds >= 0)",
        "Included review rounds are a number of at least 0.",
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"change_order_count"}

    @api.depends("company_id")
    def _compute_milestone_review_rounds(self):
        for order in self.filtered(lambda order: not order.milestone_contract_hash):
            order.milestone_review_rounds = (order.company_id or self.env.company).milestone_review_rounds

    @api.depends("change_request_ids.state")
    def _compute_change_request_count(self):
        for order in self:
            requests = order.change_request_ids
            order.change_request_count = len(requests)
            order.open_change_request_count = len(requests.filtered(lambda request: request._is_open()))

    @api.depends("order_line.price_subtotal", "order_line.billing_milestone_id", "order_line.change_line_id")
    def _compute_contract_amounts(self):
        for order in self:
            original = order._get_original_contract()
            revised = sum(order._get_milestone_lines().mapped("price_subtotal"))
            order.milestone_original_amount = original
            order.milestone_revised_amount = order.currency_id.round(revised)
            order.milestone_changes_amount = order.currency_id.round(revised - original)

    def write(self, vals):
        if "milestone_review_rounds" in vals:
            self.filtered(lambda order: order.milestone_ids._is_agreed())._check_frozen_rounds(
                vals["milestone_review_rounds"]
            )
        result = super().write(vals)
        if "partner_id" in vals:
            self.filtered(lambda order: not order.milestone_contract_hash)._drop_strange_approvers()
        return result

    def _drop_strange_approvers(self):
        """Another customer's milestones are approved by its contacts, as those of the order are."""
        # of an order that its user may write
        for milestone in self.sudo().milestone_ids.filtered("approver_ids"):
            approvers = milestone.approver_ids.grouped("commercial_partner_id")
            milestone.approver_ids = approvers.get(milestone.order_id.partner_id.commercial_partner_id, False)

    def _check_frozen_rounds(self, rounds):
        if any(order.milestone_review_rounds != rounds for order in self):
            raise UserError(self.env._("The included review rounds are agreed with the client."))

    def _describe_free_changes(self):
        changes = super()._describe_free_changes()
        if detailed := self._get_detailed_milestones():
            changes.append(self.env._("The scope was detailed since: %s.", ", ".join(detailed.mapped("name"))))
        return changes

    def _get_detailed_milestones(self):
        """Return the milestones whose scope is not the one of the signed revision and its change orders."""
        self.ensure_one()
        # Verify is for employees who read the order; what it compares with, they need not all read
        order = self.sudo()
        revision = order.agreed_revision_id
        if order.state != "sale" or not revision:
            return self.milestone_ids.browse()
        agreed = {values["id"]: values["description"] for values in revision._read_snapshot()["milestones"]}
        for line in order.change_order_ids.sorted("change_order_number").line_ids:
            if line.created_milestone_id or (line.action == "change" and line._changes_scope()):
                scope = line.new_description if line._changes_scope() else ""
                agreed[(line.created_milestone_id or line.milestone_id).id] = scope
        return self.milestone_ids.filtered(
            lambda milestone: (milestone.description or "") != agreed.get(milestone.id, milestone.description or "")
        )

    def _get_milestone_lines(self):
        self.ensure_one()
        return self.order_line.filtered(lambda line: line.billing_milestone_id and not line.display_type)

    def _get_original_contract(self):
        """Return the untaxed sum of the milestones as they were signed."""
        self.ensure_one()
        signed = self._get_milestone_lines().filtered(lambda line: not line.change_line_id)
        return self.currency_id.round(sum(signed.mapped("price_subtotal")))

    def _get_live_milestones(self):
        """Return the milestones that are not cancelled, in the order of the plan."""
        self.ensure_one()
        return self.milestone_ids.filtered(lambda milestone: milestone.state != "cancelled").sorted(
            lambda milestone: (milestone.sequence, milestone.id)
        )

    def _get_milestones_after_changes(self, known=None):
        live = super()._get_milestones_after_changes(known)
        if known is None:
            return live

        def is_later(request):
            return request.state == "approved" and request.change_order_number > known

        ended_later = (self.milestone_ids - live).filtered(
            lambda milestone: any(
                line.action in ("cancel", "merge") and is_later(line.request_id) for line in milestone.change_line_ids
            )
        )
        added_later = (live | ended_later).filtered(lambda milestone: is_later(milestone.change_request_id))
        return (live | ended_later) - added_later

    def _get_order_lines_to_report(self):
        """What a change cancelled comes to nothing: the contract's history tells of it, and the price does not."""
        lines = super()._get_order_lines_to_report()
        # of somebody who reads the order: not all of them read its milestones
        return lines.filtered(lambda line: line.billing_milestone_id.sudo().state != "cancelled")

    def _is_contract_readable(self):
        """Whether the user, superuser or not, reads the contract: the order, or like project people its milestones."""
        self.ensure_one()
        order, milestones = self.sudo(False), self.sudo().milestone_ids.sudo(False)
        return order.has_access("read") or (bool(milestones) and milestones.has_access("read"))

    def _get_sums_by_tax(self):
        """Return what the order comes to: ``total``, ``untaxed`` and, by the id of each tax, its amount."""
        self.ensure_one()
        sums = {"total": self.amount_total, "untaxed": 0.0}
        for line, base_line in self._get_rounded_base_lines().items():
            untaxed, by_tax = line._get_amounts_by_tax(base_line)
            sums["untaxed"] += untaxed
            for tax, (amount, _base) in by_tax.items():
                sums[str(tax.id)] = sums.get(str(tax.id), 0.0) + amount
        return sums

    def _get_moved_sums(self, before):
        """Return by how much the sums are others than ``before``, as exact texts; ``total`` in any case.

        :param dict before: what ``_get_sums_by_tax`` returned then
        """
        self.ensure_one()
        currency, after = self.currency_id, self._get_sums_by_tax()
        moved = {key: currency.round(after.get(key, 0.0) - before.get(key, 0.0)) for key in {**before, **after}}
        return {
            key: f"{amount + 0.0:.{currency.decimal_places}f}"  # no minus before nothing
            for key, amount in sorted(moved.items())
            if key == "total" or not currency.is_zero(amount)
        }

    def _get_stranded_advance(self):
        """Return what is left of the advance, taxes included, beyond what the milestones still bill of its taxes."""
        self.ensure_one()
        left, stranded = {}, 0.0
        for by_key in self._get_unbilled_weights().values():
            for key, part in by_key.items():
                left[key] = left.get(key, 0.0) + part.total
        for key, balances in self._get_advance_pools().items():
            advance = sum(balance.total for balance in balances.values())
            stranded += max(advance - max(left.get(key, 0.0), 0.0), 0.0)
        return self.currency_id.round(stranded)

    def _check_can_change(self):
        """:raises UserError: when there is no signed milestone contract to change"""
        for order in self:
            if order.state != "sale" or not order.milestone_contract_hash:
                raise UserError(
                    self.env._(
                        "%(order)s is no confirmed contract with milestones: change the quotation itself.",
                        order=order.name,
                    )
                )

    def _get_change_effects(self, before, after, open_after):
        """Return sentences on what a change does to advance, retention and cap.

        :param float before: untaxed contract sum now
        :param float after: untaxed contract sum after the change
        :param float open_after: untaxed sum of what is not approved then
        """
        self.ensure_one()
        effects, format_ = [], self.currency_id.format
        order = self.sudo()
        if order.advance_remaining:
            effects.append(
                self.env._(
                    "Advance: %(amount)s are still to be recovered, from what is not approved yet (%(open)s untaxed).",
                    amount=format_(order.advance_remaining),
                    open=format_(open_after),
                )
            )
            effects += order._get_stranding_effects(open_after)
        if order._retains_by_terms() and order.milestone_retention_base == "untaxed":
            effects.append(
                self.env._(
                    "Retention: %(after)s in all instead of %(before)s.",
                    after=format_(order._get_retention_target(after, after)),
                    before=format_(order._get_retention_target(before, before)),
                )
            )
            excess = order.retention_retained - order._get_retention_target(after, after)
            if self.currency_id.compare_amounts(excess, 0.0) > 0:
                effects.append(
                    self.env._(
                        "%(excess)s more than that are retained already, until they are credited or released.",
                        excess=format_(excess),
                    )
                )
        elif order.milestone_retention_percentage and order.milestone_retention_method:
            effects.append(
                self.env._(
                    "Retention: %(percentage)s %% of what is billed, of the changed amount too.",
                    percentage=order._format_percentage(order.milestone_retention_percentage),
                )
            )
        if order.milestone_cap_amount:
            excess = after - order.milestone_cap_amount
            effects.append(
                self.env._(
                    "Cap: the revised contract exceeds the agreed cap of %(cap)s by %(excess)s.",
                    cap=format_(order.milestone_cap_amount),
                    excess=format_(excess),
                )
                if self.currency_id.compare_amounts(excess, 0.0) > 0
                else self.env._(
                    "Cap: %(left)s are left under the agreed cap of %(cap)s.",
                    left=format_(-excess),
                    cap=format_(order.milestone_cap_amount),
                )
            )
        return effects

    def _get_stranding_effects(self, open_after):
        """Warn of an advance that is more than what is left to bill then; taxes are not known before the application.

        :param float open_after: untaxed sum of what is not approved after the change
        """
        self.ensure_one()
        currency = self.currency_id
        weights = self._get_unbilled_weights()
        approved = (by_key for milestone, by_key in weights.items() if milestone.state == "approved")
        left = open_after + sum(part.untaxed for by_key in approved for part in by_key.values())
        pools = self._get_advance_pools().values()
        advance = sum(balance.untaxed for balances in pools for balance in balances.values())
        if currency.compare_amounts(advance, left) <= 0:
            return []
        return [
            self.env._(
                "Advance: too little is left to recover it from. %(rest)s of it (untaxed) have to be credited.",
                rest=currency.format(currency.round(advance - left)),
            )
        ]

    # -- contract ---------------------------------------------------------------------------------------

    def _has_evidence(self):
        return super()._has_evidence() or bool(
            self.milestone_contract_hash and self.sudo().change_request_ids.approval_ids
        )

    def _get_agreed_contract(self):
        """After a change order it is what that led to."""
        last = self.sudo().change_order_ids.sorted("change_order_number")[-1:]
        return last.agreed_contract or super()._get_agreed_contract()

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        for milestone, milestone_values in zip(self.milestone_ids.sorted("id"), values["milestones"], strict=True):
            if milestone.approver_ids:
                milestone_values["own_approvers"] = sorted(milestone.approver_ids.ids)
            if milestone.review_days:
                milestone_values["review_days"] = milestone.review_days
        return values

    def _get_contract_labels(self):
        return {**super()._get_contract_labels(), "own_approvers": self.env._("approvers")}

    def _action_cancel(self):
        result = super()._action_cancel()
        for request in self.sudo().change_request_ids.filtered(lambda request: request._is_open()):
            if request.approval_id:
                request._close_round("withdrawn", {"method": "internal"})
            request._set_review_state("cancelled")
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_change_requests(self):
        if self.sudo().change_request_ids:
            raise UserError(self.env._("Contracts with change requests are kept: cancel them instead."))

    def action_view_change_requests(self):
        """Open the change requests of these contracts."""
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_change_request_action")
        action["domain"] = [("order_id", "in", self.ids)]
        action["context"] = {"default_order_id": self.id} if len(self) == 1 else {}
        return action


class ResCompany(models.Model):
    _inherit = "res.company"

    milestone_review_rounds = fields.Integer(
        string="Included Review Rounds",
        help="Presentations to the client that the price of a milestone includes; 0: as many as it takes.",
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    milestone_review_rounds = fields.Integer(related="company_id.milestone_review_rounds", readonly=False)
