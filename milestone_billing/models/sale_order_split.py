from odoo import models
from odoo.exceptions import UserError
from odoo.tools import formatLang

from ..tools.apportion import apportion, spread
from .sale_milestone_plan import KnownTotals
from .sale_order_line_split import IDLE_VALUES, ShareValues

# Percentages are counted in these parts of a percent.
PARTS = 10**10
# A difference of percentages that is noise of their binary fractions, not a remainder.
NOISE = 10**-5


class SaleOrder(models.Model):
    """Dividing an order into milestones: exact to the smallest unit, untaxed, per tax and in total.

    The amounts that the client was shown, rounded together as an order, are divided in whole units;
    each share is its nominal amount rounded up or down, and all shares together are the line. They
    are fixed on the lines in ``extra_tax_data``, like those of a down payment, and invoiced as such.
    """

    _inherit = "sale.order"

    def _split_into_milestones(self, percentages=None, milestones=None, lines=None, amounts=None, whole=None):
        """Divide order lines over milestones; each line becomes its own first share.

        :param percentages: one per milestone, 0–100 each, 100 together
        :param milestones: milestones of this order in the order of the plan; by default new ones
        :param lines: lines to divide; by default all free lines that can be divided
        :param amounts: instead of percentages: the untaxed amount of each milestone over all ``lines``,
            in the currency of the order
        :param dict whole: order lines that are not divided, and the milestone of each (or its position, from 0)
        :return: the milestones
        :raises UserError: when the order is agreed, or cannot be divided like that, naming what is wrong
        """
        self.ensure_one()
        lines = self._get_divisible_lines() if lines is None else lines
        whole = whole or {}
        self._recompute_recordset(["amount_untaxed", "amount_tax", "amount_total"])  # of an order made just now
        self._check_can_split(percentages, milestones, lines, amounts, whole)
        weights = self._get_split_weights(percentages, amounts)
        base_lines = self._get_rounded_base_lines()
        shares = self._divide_lines(lines, weights, base_lines)
        self._keep_split_sources(lines, whole)
        milestones = milestones or self._create_split_milestones(len(weights))
        whole = {line: milestones[place] if isinstance(place, int) else place for line, place in whole.items()}
        lines._write_shares(milestones, weights, shares, base_lines, whole)
        self._fix_undivided_lines(lines, base_lines)
        self._arrange_milestone_lines()
        for name in ("amount_untaxed", "amount_tax", "amount_total"):  # the shares together are what was divided
            self.env.remove_to_compute(self._fields[name], self)
        milestones._compute_known_totals(self._get_share_totals(milestones, lines, shares))
        return milestones

    def _get_share_totals(self, milestones, lines, shares):
        """Return the tax totals of the milestones that consist of shares of ``lines`` and nothing else."""
        totals = KnownTotals()
        for number, milestone in enumerate(milestones):
            if len(milestone.order_line_ids) == len(lines):
                parts = [shares[line][number] for line in lines]
                untaxed = sum(part["untaxed"][0] for part in parts)
                tax = sum(sign * part[key][0] for part in parts for key, sign in part["signs"])
                totals[milestone.id] = {
                    "base_amount_currency": self._from_units(untaxed),
                    "tax_amount_currency": self._from_units(tax),
                    "total_amount_currency": self._from_units(untaxed + tax),
                }
        return totals

    def _preview_milestone_split(self, percentages=None, lines=None, amounts=None):
        """Return what each share would amount to; nothing is written, and nothing checked.

        :return: a list of dicts ``untaxed``, ``tax``, ``total`` in the currency of the order
        """
        self.ensure_one()
        lines = self._get_divisible_lines() if lines is None else lines
        base_lines = self._get_rounded_base_lines()
        weights = self._get_split_weights(percentages, amounts)
        # what is missing or too much is a share of its own, until the user has corrected it
        whole = sum(lines._get_split_untaxed(base_lines)) if amounts is not None else 100 * PARTS
        rest = (
            [whole - sum(weights)] if abs(whole - sum(weights)) > (0 if amounts is not None else NOISE * PARTS) else []
        )
        count = len(weights)
        if not lines or not sum(weights + rest):
            return [{"untaxed": 0.0, "tax": 0.0, "total": 0.0} for _share in weights]
        shares = self._divide_lines(lines, weights + rest, base_lines, company_currency=False)
        result = []
        for number in range(count):
            untaxed = tax = 0
            for line_shares in shares.values():
                amounts_by_key = line_shares[number]
                untaxed += amounts_by_key["untaxed"][0]
                tax += sum(sign * amounts_by_key[key][0] for key, sign in amounts_by_key["signs"])
            untaxed, tax = self._from_units(untaxed), self._from_units(tax)
            result.append({"untaxed": untaxed, "tax": tax, "total": self.currency_id.round(untaxed + tax)})
        return result

    def _undo_milestone_split(self, remove_milestones=True):
        """Restore the lines as they were before they were divided.

        :param remove_milestones: remove the milestones of the shares that are left without any line
        :raises UserError: when the plan is agreed
        """
        self.ensure_one()
        self._check_split_open()
        shares = self.order_line.filtered("milestone_source_id")
        milestones = shares.billing_milestone_id.with_prefetch()  # together, when the shares are gone
        milestones._check_plan_open()
        sources = shares.milestone_source_id
        (shares - sources).unlink()
        noted = self.order_line.filtered("milestone_source_values")
        sequences = {line: line.milestone_source_values["sequence"] for line in noted}
        noted._restore_split_values()
        self.order_line.filtered(lambda line: line._is_fixed_by_split())._release_split_amounts()
        if remove_milestones:
            filled = self.order_line.filtered(lambda line: not line.display_type).billing_milestone_id
            kept = filled | milestones.approval_ids.milestone_id
            (milestones - kept).unlink()
        for line, sequence in sequences.items():
            line._write_past_guard({"sequence": sequence})
        self._arrange_milestone_lines()

    def _copy_milestone_lines(self, new_order):
        """A division is copied as such: the copy can be undone, or done again, too."""
        lines = super()._copy_milestone_lines(new_order)
        for source, shares in self.order_line.grouped("milestone_source_id").items():
            if source in lines:
                copied = self.env["sale.order.line"].union(*(lines[share] for share in shares if share in lines))
                copied._write_past_guard({"milestone_source_id": lines[source].id})
        noted = self.order_line.filtered("milestone_source_values")
        # lines of one sequence stand by their ids, which those of the copies do not repeat
        ordered = noted.sorted(lambda line: (line.milestone_source_values["sequence"], line.id))
        for place, line in enumerate(ordered, 1):
            if line in lines:
                values = {**line.milestone_source_values, "sequence": place}
                lines[line]._write_past_guard({"milestone_source_values": values})
        return lines

    # -- what is divided ------------------------------------------------------------------------------

    def _get_divisible_lines(self):
        """Return the free lines that are divided unless somebody chooses others."""
        return self._get_priced_lines().filtered(lambda line: line._is_divided_by_default())

    def _get_split_weights(self, percentages=None, amounts=None):
        """Return whole numbers in the proportion of the shares: amounts in smallest units, or parts of a percent."""
        if amounts is not None:
            return [self._to_units(amount) for amount in amounts]
        return [round(percentage * PARTS) for percentage in percentages or []]

    def _to_units(self, amount, currency=None):
        return round(amount / (currency or self.currency_id).rounding)

    def _from_units(self, units, currency=None):
        currency = currency or self.currency_id
        return round(units * currency.rounding, currency.decimal_places)

    def _divide_lines(self, lines, weights, base_lines, company_currency=True):
        """Divide the rounded amounts of ``lines``.

        :return: by line a list with a dict per share: amounts by key ("untaxed", or "tax_amount" and
            "base_amount" with the id of a tax), each in units of the order's and of the company's
            currency; ``signs`` says which of them are added up to the tax of the share
        """
        company_currency = company_currency and self.currency_id != self.company_id.currency_id
        totals = {line: line._get_split_totals(base_lines[line]) for line in lines}
        shares = {line: [{} for _weight in weights] for line in lines}
        for key in dict.fromkeys(key for amounts in totals.values() for key in amounts["units"]):
            rows = [line for line in lines if key in totals[line]["units"]]
            if key[0] == "base_amount":  # nearly always the untaxed amount itself
                own = [line for line in rows if totals[line]["units"][key] != totals[line]["units"]["untaxed"]]
                for line in rows:
                    for share in shares[line] if line not in own else []:
                        share[key] = share["untaxed"]
                rows = own
            divided = apportion([totals[line]["units"][key][0] for line in rows], weights)
            for line, parts in zip(rows, divided, strict=True):
                company_parts = (
                    spread(totals[line]["units"][key][1], parts if sum(parts) else weights)
                    if company_currency
                    else parts
                )
                for share, part, company_part in zip(shares[line], parts, company_parts, strict=True):
                    share[key] = (part, company_part)
        for line in lines:
            for share in shares[line]:
                share["signs"] = totals[line]["signs"]
        return shares

    def _create_split_milestones(self, count):
        start = max(self.milestone_ids.mapped("sequence"), default=0)
        return (
            self.env["sale.milestone"]
            .with_context(tracking_disable=True)
            .create(
                [
                    {
                        "order_id": self.id,
                        "name": self.env._("Milestone %(number)s", number=number),
                        "sequence": start + number,
                    }
                    for number in range(1, count + 1)
                ]
            )
            .with_env(self.env)
        )

    def _prepare_split_sections(self, milestones, sequences):
        """Return the values of the missing sections of ``milestones``, and what is computed from them."""
        present = self.order_line.filtered("display_type").billing_milestone_id
        vals_list = [
            {**self._prepare_milestone_section(milestone), "sequence": sequence}
            for milestone, sequence in zip(milestones, sequences["sections"], strict=True)
            if milestone not in present
        ]
        known = ShareValues()
        if vals_list:
            section = self.env["sale.order.line"].new(vals_list[0])
            computed = {
                name: field.convert_to_write(section[name], section)
                for name, field in section._fields.items()
                if field.precompute
            }
            known.update({(False, vals["billing_milestone_id"]): {**computed, **vals} for vals in vals_list})
            idle = {**IDLE_VALUES, **section._get_quantity_values(vals_list[0])}
            vals_list = [{**vals, **idle} for vals in vals_list]
        return vals_list, known

    def _keep_split_sources(self, lines, whole):
        """Note what is about to change on the lines; of all others, where they stand."""
        divided = lines.union(*whole)
        for line in self.order_line:
            line._keep_split_values(complete=line in divided)

    def _fix_undivided_lines(self, lines, base_lines):
        """Where an order is rounded as a whole, what is not divided keeps its part of the rounding, too."""
        if self.company_id.tax_calculation_rounding_method != "round_globally":
            return
        for line, base_line in base_lines.items():
            if line not in lines and not line.is_downpayment and not base_line["manual_tax_amounts"]:
                amounts = self._divide_lines(line, [1], base_lines)[line][0]
                line._write_past_guard({"extra_tax_data": line._prepare_share_tax_data(base_line, amounts)})

    def _get_order_lines_to_report(self):
        """A section of the quotation whose lines all went under milestones is no heading any more."""
        lines = super()._get_order_lines_to_report()
        contracts = self.filtered("milestone_ids")
        if not contracts:
            return lines
        inner = contracts.order_line.filtered(lambda line: line.display_type not in ("line_section", "line_subsection"))
        filled = inner.parent_id | inner.parent_id.parent_id
        return lines.filtered(
            lambda line: (
                line.order_id not in contracts
                or line.is_downpayment
                or line.display_type not in ("line_section", "line_subsection")
                or line in filled
            )
        )

    # -- what is wrong --------------------------------------------------------------------------------

    def _check_split_open(self):
        for order in self:
            if order.state not in ("draft", "sent"):
                raise UserError(
                    self.env._("%(order)s is no quotation any more: its milestone plan is agreed.", order=order.name)
                )

    def _check_can_split(self, percentages=None, milestones=None, lines=None, amounts=None, whole=None):
        """:raises UserError: when the order cannot be divided like that, naming the line or share and what is left"""
        self.ensure_one()
        lines = self._get_divisible_lines() if lines is None else lines
        self._check_split_open()
        self._check_split_lines(lines, whole or {})
        if milestones is not None:
            self._check_split_milestones(milestones, len(amounts if amounts is not None else percentages or []))
        if amounts is not None:
            self._check_split_amounts(amounts, lines)
        else:
            self._check_split_percentages(percentages or [])
        self._check_split_units(self._get_split_weights(percentages, amounts), lines)

    def _check_split_milestones(self, milestones, count):
        milestones._check_plan_open()
        for milestone in milestones:
            if milestone.order_id != self:
                raise UserError(self.env._("%(milestone)s belongs to another order.", milestone=milestone.display_name))
        if len(milestones) != count:
            raise UserError(
                self.env._(
                    "%(count)s shares cannot be divided over %(milestones)s milestones.",
                    count=count,
                    milestones=len(milestones),
                )
            )

    def _check_split_lines(self, lines, whole):
        if not lines and not whole:
            divided = self.order_line.filtered("milestone_source_id")
            raise UserError(
                self.env._("The lines of %(order)s are divided already; undo that first.", order=self.name)
                if divided
                else self.env._(
                    "%(order)s has no order line that can be divided. Add a service with a price first.",
                    order=self.name,
                )
            )
        for line in lines.union(*whole):
            reason = line._get_unassignable_reason(self) or (line in lines and line._get_undivisible_reason())
            if reason:
                raise UserError(
                    self.env._("%(line)s cannot be divided: %(reason)s.", line=line._get_split_label(), reason=reason)
                )
            if line in lines and line in whole:
                raise UserError(
                    self.env._("%(line)s is either divided or assigned whole.", line=line._get_split_label())
                )

    def _check_split_percentages(self, percentages):
        for number, percentage in enumerate(percentages, 1):
            if percentage <= 0:
                raise UserError(
                    self.env._(
                        "Share %(number)s is %(percentage)s %%. Every milestone is a positive part of the order.",
                        number=number,
                        percentage=self._format_percentage(percentage),
                    )
                )
        rest = 100 - sum(percentages)
        if abs(rest) > NOISE:
            values = {
                "sum": self._format_percentage(sum(percentages)),
                "rest": self._format_percentage(abs(rest)),
            }
            raise UserError(
                self.env._("The shares sum to %(sum)s %%: %(rest)s %% are missing.", **values)
                if rest > 0
                else self.env._("The shares sum to %(sum)s %%: %(rest)s %% too much.", **values)
            )

    def _check_split_amounts(self, amounts, lines):
        for number, amount in enumerate(amounts, 1):
            if self.currency_id.compare_amounts(amount, 0.0) <= 0:
                raise UserError(
                    self.env._(
                        "Share %(number)s is %(amount)s. Every milestone is a positive part of the order.",
                        number=number,
                        amount=self.currency_id.format(amount),
                    )
                )
        total = sum(lines._get_split_untaxed(self._get_rounded_base_lines()))
        rest = total - sum(self._to_units(amount) for amount in amounts)
        if rest:
            values = {
                "total": self.currency_id.format(self._from_units(total)),
                "rest": self.currency_id.format(self._from_units(abs(rest))),
            }
            raise UserError(
                self.env._("The amounts do not sum to the %(total)s that are divided: %(rest)s are missing.", **values)
                if rest > 0
                else self.env._("The amounts exceed the %(total)s that are divided by %(rest)s.", **values)
            )

    def _check_split_units(self, weights, lines):
        """Every share of every line is at least the smallest unit of the currency."""
        base_lines, whole = self._get_rounded_base_lines(), sum(weights)
        if not whole:
            return
        untaxed = lines._get_split_untaxed(base_lines)
        if sum(untaxed) <= 0:
            raise UserError(
                self.env._(
                    "The chosen lines of %(order)s sum to %(amount)s: there is nothing to divide.",
                    order=self.name,
                    amount=self.currency_id.format(self._from_units(sum(untaxed))),
                )
            )
        smallest = min(range(len(weights)), key=lambda number: weights[number])
        for line, units in zip(lines, untaxed, strict=True):
            if abs(units) * weights[smallest] < whole:
                raise UserError(
                    self.env._(
                        "%(line)s is %(amount)s: its share %(number)s (%(percentage)s %%) would be less than "
                        "%(unit)s. Divide it into fewer shares, or assign it whole to a milestone.",
                        line=line._get_split_label(),
                        amount=self.currency_id.format(self._from_units(units)),
                        number=smallest + 1,
                        percentage=self._format_percentage(100 * weights[smallest] / whole),
                        unit=self.currency_id.format(self.currency_id.rounding),
                    )
                )

    def _format_percentage(self, percentage):
        """Return a percentage with as many decimals as it has, 4 at most."""
        text = formatLang(self.env, round(percentage, 4), digits=4)
        return text.rstrip("0").rstrip(".,\u066b")
