from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from .sale_order_retention import RETENTION_TERMS

# What changes the plan, and so what each milestone keeps back.
PLAN_FIELDS = RETENTION_TERMS | {"order_line", "milestone_ids"}
# Set while the addon itself divides and restores; it only spares work, see _get_release_milestone_error.
AT_WORK = "milestone_retention_at_work"


class SaleOrder(models.Model):
    """Retention where tax falls due on release: milestones bill less, and a release milestone bills the rest.

    On the quotation already, so that the client signs it, the lines of each milestone are divided
    into what is billed with it and what is kept back; the kept parts are the lines of the release
    milestone. All parts together are the contract, untaxed, per tax and in total. The division is
    undone and done again whenever the quotation is saved with another plan or other terms.
    """

    _inherit = "sale.order"

    @api.model_create_multi
    def create(self, vals_list):
        orders = super(SaleOrder, self.with_context(**{AT_WORK: True})).create(vals_list).with_env(self.env)
        orders._sync_release_milestone()
        return orders

    def write(self, vals):
        if PLAN_FIELDS.isdisjoint(vals):
            return super().write(vals)
        result = super(SaleOrder, self.with_context(**{AT_WORK: True})).write(vals)
        self._sync_release_milestone()
        return result

    def action_confirm(self):
        """What nobody has signed yet is brought up to date; what the client signed stays as it is."""
        self.filtered(lambda order: not order.signature)._sync_release_milestone()
        return super().action_confirm()

    def action_quotation_send(self):
        self._sync_release_milestone()
        return super().action_quotation_send()

    def _apply_milestone_plan(self, *args, **kwargs):
        order = self.with_context(**{AT_WORK: True})
        milestones = super(SaleOrder, order)._apply_milestone_plan(*args, **kwargs).with_env(self.env)
        self._sync_release_milestone()
        return milestones

    def _split_into_milestones(self, *args, **kwargs):
        order = self.with_context(**{AT_WORK: True})
        milestones = super(SaleOrder, order)._split_into_milestones(*args, **kwargs).with_env(self.env)
        self._sync_release_milestone()
        return milestones

    def _undo_milestone_split(self, remove_milestones=True):
        self._check_split_open()
        order = self.with_context(**{AT_WORK: True})
        order._undo_retention_split()
        if remove_milestones:
            order.milestone_ids.filtered("is_retention").unlink()
        super(SaleOrder, order)._undo_milestone_split(remove_milestones=remove_milestones)
        if remove_milestones:
            self._sync_release_milestone()

    def _copy_milestone_lines(self, new_order):
        """A copy keeps back what the original does, and can be divided again, too."""
        lines = super()._copy_milestone_lines(new_order)
        for line, copied in lines.items():
            if line.retention_source_id in lines:
                copied._write_past_guard({"retention_source_id": lines[line.retention_source_id].id})
            if line.retention_values:
                copied._write_past_guard({"retention_values": line.retention_values})
        milestones = self._get_copied_milestones(new_order).items()
        for milestone, copied in milestones:
            if milestone.is_retention:
                copied._write_protected({"is_retention": True})
        return lines

    def _get_plan_error(self):
        return super()._get_plan_error() or self._get_release_milestone_error()

    def _get_release_milestone_error(self):
        """Return why what the plan keeps back is not what the terms say, or False."""
        self.ensure_one()
        release = self.milestone_ids.filtered("is_retention")
        if not self.milestone_ids or not (release or self._retains_by_milestone()):
            return False
        due = self._get_retention_target(self._get_retention_contract()) if self._retains_by_milestone() else 0.0
        kept = sum(release.mapped("amount_total" if self.milestone_retention_base == "total" else "amount_untaxed"))
        # a line too small to be divided is billed whole
        tolerance = self.currency_id.rounding * (len(self.order_line) + 1)
        if abs(due - kept) <= tolerance:
            return False
        return self.env._(
            "The plan keeps back %(kept)s, and by the terms of the retention it should be %(due)s. "
            "Save the terms of the retention again, and send the quotation as it is then.",
            kept=self.currency_id.format(kept),
            due=self.currency_id.format(due),
        )

    # -- dividing and restoring ----------------------------------------------------------------------

    def _retains_by_milestone(self):
        """Whether milestones bill less, and a release milestone bills what was kept back."""
        self.ensure_one()
        return self.milestone_retention_method == "release_milestone" and self.milestone_retention_percentage > 0.0

    def _get_plan_milestones(self):
        """Return the milestones that were planned: all but the release milestone, in the order of the plan."""
        planned = self.milestone_ids.filtered(lambda milestone: not milestone.is_retention)
        return planned.sorted(lambda milestone: (milestone.sequence, milestone.id))

    def _sync_release_milestone(self):
        """Keep back of the milestones of quotations what the terms say.

        :raises UserError: when a line cannot be divided, naming it, or has nothing left to bill
        """
        if self.env.context.get(AT_WORK):
            return
        for order in self.with_context(**{AT_WORK: True}):
            release = order.milestone_ids.filtered("is_retention")
            if order.state not in ("draft", "sent") or order.milestone_ids._is_agreed():
                continue
            if not release and not (order.milestone_ids and order._retains_by_milestone()):
                continue
            order._undo_retention_split()
            kept = order._get_retention_units() if order._retains_by_milestone() else {}
            if kept:
                release = release or order._create_release_milestone()
            if kept and order._divide_retention(kept, release):
                order._update_release_milestone()
            else:
                release.unlink()

    def _get_retention_units(self):
        """Return ``{milestone: (kept, whole)}`` in units of the currency, on the base of the retention.

        What is kept back follows what is billed to date, as if milestones were billed in their order.
        """
        self.ensure_one()
        base_lines = self._get_rounded_base_lines()
        result, billed, kept_before = {}, 0, 0
        for milestone in self._get_plan_milestones():
            whole = 0
            for line in milestone.order_line_ids:
                totals = line._get_split_totals(base_lines[line])
                whole += totals["units"]["untaxed"][0]
                if self.milestone_retention_base == "total":
                    whole += sum(sign * totals["units"][key][0] for key, sign in totals["signs"])
            billed += whole
            kept_to_date = self._to_units(self._get_retention_target(self._from_units(billed)))
            if whole > 0 and kept_to_date > kept_before:
                result[milestone] = (min(kept_to_date - kept_before, whole), whole)
            kept_before = kept_to_date
        return result

    def _divide_retention(self, kept, release):
        """Divide the lines of each milestone; the parts that are kept back become lines of ``release``.

        :return: the lines that are divided
        :raises UserError: when so much is to be kept back that nothing of a line is left to bill
        """
        self.ensure_one()
        base_lines = self._get_rounded_base_lines()
        divided, vals_list, used_up = self.env["sale.order.line"], [], {}
        for milestone, (part, whole) in kept.items():
            lines = milestone.order_line_ids.filtered(lambda line: not line.currency_id.is_zero(line.price_subtotal))
            lines._check_can_retain()
            weights = [whole - part, part]
            for line, shares in self._divide_lines(lines, weights, base_lines).items():
                if shares[0]["untaxed"][0] and shares[1]["untaxed"][0]:
                    vals_list.append(line._keep_back(base_lines[line], weights, shares, release))
                    divided |= line
                elif not shares[0]["untaxed"][0]:
                    used_up[line] = abs(shares[1]["untaxed"][0])
        self.env["sale.order.line"].with_context(sale_no_log_for_new_lines=True).create(vals_list)
        if self.company_id.tax_calculation_rounding_method == "round_globally":
            for line, base_line in base_lines.items():
                if line not in divided and not line.is_downpayment and not base_line["manual_tax_amounts"]:
                    line._write_past_guard({"retention_values": {"extra_tax_data": line.extra_tax_data or False}})
            self._fix_undivided_lines(divided, base_lines)
        # a line of a few cents may be billed whole
        if used_up and self._get_release_milestone_error():
            raise UserError(self._get_used_up_error(used_up))
        return divided

    def _get_used_up_error(self, used_up):
        """Return how much can be kept back when nothing would be left to bill of lines.

        :param dict used_up: untaxed amounts of the lines, in units of the currency
        """
        line = next(iter(used_up))
        # rounding takes a unit at most from each of the two parts
        smallest = min((units for units in used_up.values() if units > 2), default=2)
        return self.env._(
            "A retention of %(percentage)s %% leaves nothing of %(line)s to bill with %(milestone)s. Enter at most "
            "%(possible)s %%, or keep the retention back of each invoice instead.",
            percentage=self._format_percentage(self.milestone_retention_percentage),
            line=line._get_split_label(),
            milestone=line.billing_milestone_id.name,
            possible=self._format_percentage(10000 * (smallest - 2) // smallest / 100),
        )

    def _undo_retention_split(self):
        """Put together again what was divided into billed and kept back."""
        self.ensure_one()
        self._check_split_open()
        self.order_line.filtered("retention_source_id").unlink()
        self.order_line.filtered("retention_values")._restore_retained()

    def _create_release_milestone(self):
        self.ensure_one()
        env = self.with_context(lang=self._get_lang()).env
        release = self.env["sale.milestone"].create(
            {
                "order_id": self.id,
                "name": env._("Retention"),
                "deliverable_ids": [Command.create({"name": env._("Release of retention")})],
            }
        )
        release._write_protected({"is_retention": True})
        return release

    def _update_release_milestone(self):
        """Let the release milestone be the last one, and follow the terms of the release."""
        self.ensure_one()
        release, planned = self.milestone_ids.filtered("is_retention"), self._get_plan_milestones()
        values = {"sequence": max(planned.mapped("sequence")) + 1}
        if self.milestone_retention_trigger == "date":
            values["contract_date"] = self.milestone_retention_date
        elif self.milestone_retention_trigger == "milestone":
            awaited = (self.milestone_retention_milestone_id - release) or planned
            values["predecessor_ids"] = [Command.set(awaited.ids)]
            days = awaited.mapped("contract_date")
            values["contract_date"] = all(days) and max(days) + timedelta(days=self.milestone_retention_days)
        release.write(values)

    def _get_release_milestone_sentences(self, percentage, base):
        """Return what the milestones keep back, as a sentence of the contract."""
        self.ensure_one()
        release = self.milestone_ids.filtered("is_retention")
        return [
            self.env._(
                "Retention: %(percentage)s of each milestone (%(base)s) is not billed with it, "
                "but with “%(release)s”, together with its taxes.",
                percentage=percentage,
                base=base,
                release=release[:1].name or self.env._("Retention"),
            )
        ]


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    is_retention = fields.Boolean(
        string="Release of Retention",
        readonly=True,
        copy=False,
        help="Bills what the other milestones kept back; made and divided by the terms of the retention.",
    )

    @property
    def _protected_fields(self):
        return super()._protected_fields | {"is_retention"}

    @api.model_create_multi
    def create(self, vals_list):
        milestones = super().create(vals_list)
        milestones.order_id._sync_release_milestone()
        return milestones

    def write(self, vals):
        result = super().write(vals)
        if not {"sequence", "amount_untaxed"}.isdisjoint(vals):
            self.order_id._sync_release_milestone()
        return result

    def unlink(self):
        orders = self.order_id.with_context(**{AT_WORK: True})
        for order in orders if orders.milestone_ids.filtered("is_retention") else ():
            if order.state in ("draft", "sent") and not order.milestone_ids._is_agreed():
                order._undo_retention_split()
        result = super().unlink()
        orders.with_env(self.env)._sync_release_milestone()
        return result


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    retention_source_id = fields.Many2one(
        "sale.order.line",
        string="Kept Back of",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        groups="base.group_user",
        help="The line that this part is kept back of.",
    )
    retention_values = fields.Json(string="Before the Retention", readonly=True, copy=False, groups="base.group_user")

    def write(self, vals):
        parts = self.filtered(lambda line: line._is_part_of_retention())
        if not parts:
            return super().write(vals)
        parts._check_retention_write(vals)
        moved = "billing_milestone_id" in vals and parts.filtered(
            lambda line: line.billing_milestone_id.id != vals["billing_milestone_id"]
        )
        if not moved:
            return super().write(vals)
        orders = moved.order_id
        for order in orders.with_context(**{AT_WORK: True}):
            order._undo_retention_split()
        result = super().write(vals)
        orders._sync_release_milestone()
        return result

    def unlink(self):
        """A line goes with what is kept back of it; without the part kept back, it is whole again."""
        kept = self.search([("retention_source_id", "in", self.ids)])
        sources = self.retention_source_id - self
        result = super(SaleOrderLine, self | kept).unlink()
        sources._restore_retained()
        return result

    def _is_part_of_retention(self):
        """Whether a part of the line is kept back, or it is such a part."""
        self.ensure_one()
        return bool(self.retention_source_id) or "price_unit" in (self.retention_values or {})

    def _check_retention_write(self, vals):
        """:raises UserError: when a part would change without the other one"""
        for line in self:
            names = {
                "product_id",
                "product_uom_id",
                "product_uom_qty",
                "price_unit",
                "discount",
                "tax_ids",
            }.intersection(vals)
            if line.retention_source_id and "billing_milestone_id" in vals:
                names.add("billing_milestone_id")
            if any(line._is_changed_by(name, vals[name]) for name in names):
                raise UserError(
                    self.env._(
                        "%(line)s is divided into what %(milestone)s bills and what is kept back. Set the retention "
                        "of %(order)s to 0 %%, change the line, and set the retention again.",
                        line=line._get_split_label(),
                        milestone=(line.retention_source_id or line).billing_milestone_id.display_name,
                        order=line.order_id.name,
                    )
                )

    def _check_can_retain(self):
        """:raises UserError: for lines of which no part can be kept back"""
        for line in self:
            if reason := line._get_whole_reason():
                raise UserError(
                    self.env._(
                        "No part of %(line)s can be kept back for a release milestone: %(reason)s. Keep the retention "
                        "back of each invoice instead, or take the line out of %(milestone)s.",
                        line=line._get_split_label(),
                        reason=reason,
                        milestone=line.billing_milestone_id.display_name,
                    )
                )

    def _keep_back(self, base_line, weights, shares, release):
        """Make the line what is billed with its milestone, and return the values of what is kept back."""
        self.ensure_one()
        milestone = self.billing_milestone_id
        copied = {**self.copy_data()[0], "order_id": self.order_id.id}
        billed, kept = self._prepare_shares_values(base_line, weights, shares, milestone + release)
        line = self.with_context(lang=self.order_id._get_lang())
        share = line.order_id._format_percentage(round(100 * weights[1] / sum(weights), 2))
        names = {"share": share, "milestone": milestone.name}
        suffix = "\n" + line.env._("less %(share)s %% retention", **names)
        kept["name"] = line.name + "\n" + line.env._("%(share)s %% retention of %(milestone)s", **names)
        noted = ("product_uom_qty", "product_uom_id", "price_unit", "technical_price_unit", "discount")
        values = {name: self._fields[name].convert_to_read(self[name], self, False) for name in noted}
        values.update(extra_tax_data=self.extra_tax_data or False, suffix=suffix)
        self._write_past_guard({**billed, "name": self.name + suffix, "retention_values": values})
        return {**copied, **kept, "retention_source_id": self.id}

    def _restore_retained(self):
        """Make lines again what they were before a part of them was kept back; their texts stay."""
        for line in self:
            values = dict(line.retention_values or {})
            suffix = values.pop("suffix", "")
            if suffix and line.name.endswith(suffix):
                values["name"] = line.name.removesuffix(suffix)
            line._write_past_guard({**values, "retention_values": False})
