from odoo import fields, models

from .account_tax import SPLIT
from .agreed_change import Rearrangement

# What a line was before it was divided. Nothing else of it is changed, or restored.
SOURCE_FIELDS = (
    "name",
    "product_uom_qty",
    "product_uom_id",
    "price_unit",
    "technical_price_unit",
    "discount",
    "extra_tax_data",
    "billing_milestone_id",
    "sequence",
)
# What the fixed amounts of a line were computed from.
PRICE_FIELDS = frozenset(
    {"product_id", "product_uom_id", "product_uom_qty", "price_unit", "discount", "tax_ids", "currency_id"}
)
# Computed, stored, and the same for every share of a line on a quotation.
SHARED_FIELDS = (
    "company_id",
    "currency_id",
    "order_partner_id",
    "salesman_id",
    "state",
    "qty_delivered_method",
)
# The same for lines of quotations, which are neither delivered nor invoiced.
IDLE_VALUES = {
    "qty_delivered": 0.0,
    "qty_invoiced": 0.0,
    "qty_to_invoice": 0.0,
    "untaxed_amount_invoiced": 0.0,
    "untaxed_amount_to_invoice": 0.0,
    "invoice_status": "no",
}
# Stored by addons that may be absent, and computed from product, unit and quantity of a quotation's line.
QUANTITY_FIELDS = ("is_service", "remaining_hours")


def _get_share_key(share):
    """Return what tells a share from others of its line: with equal weights there are few different ones."""
    return tuple(amounts for key, amounts in share.items() if key != "signs")


class ShareValues(dict):
    """What is known of shares before they are created: by (divided line, milestone) the values of computed fields.

    It travels in the context, where no client can put an object of Python.
    """


class SaleOrderLine(models.Model):
    """A line divided over milestones: it stays, as the first share of itself, and remembers what it was."""

    _inherit = "sale.order.line"

    milestone_source_id = fields.Many2one(
        "sale.order.line",
        string="Divided Line",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        groups="base.group_user",
        help="The line that this one is a share of; it is a share of itself.",
    )
    milestone_source_values = fields.Json(
        string="Before the Division", readonly=True, copy=False, groups="base.group_user"
    )

    def write(self, vals):
        changed = self.browse()
        if "extra_tax_data" not in vals and not PRICE_FIELDS.isdisjoint(vals):
            changed = self.filtered(
                lambda line: (
                    line._is_fixed_by_split()
                    and any(line._is_changed_by(name, vals[name]) for name in PRICE_FIELDS.intersection(vals))
                )
            )
        result = super().write(vals)
        changed._release_split_amounts()
        return result

    def _get_known_share_values(self):
        known = self.env.context.get("milestone_share_values")
        return known if isinstance(known, ShareValues) else {}

    def _add_precomputed_values(self, vals_list):
        """Spare thousands of shares the computation of what follows from their source and the division."""
        if known := self._get_known_share_values():
            for vals in vals_list:
                key = vals.get("milestone_source_id") or False, vals.get("billing_milestone_id")
                vals.update({**known.get(key, {}), **vals})
        return super()._add_precomputed_values(vals_list)

    def _check_company(self, fnames=None):
        """Shares have what their source has, in its company."""
        if not self._get_known_share_values():
            super()._check_company(fnames)

    def unlink(self):
        self._hand_over_split()
        return super().unlink()

    def _hand_over_split(self):
        """When a divided line is deleted, the next of its shares remembers what it was."""
        sources = self.filtered("milestone_source_values")
        shares = self.search([("milestone_source_id", "in", sources.ids), ("id", "not in", self.ids)], order="id")
        for source, heirs in shares.grouped("milestone_source_id").items():
            heirs[:1]._write_past_guard({"milestone_source_values": source.milestone_source_values})
            heirs._write_past_guard({"milestone_source_id": heirs[:1].id})

    # -- amounts -----------------------------------------------------------------------------------------

    def _get_split_untaxed(self, base_lines):
        """Return the rounded untaxed amounts of the lines, in units."""
        return [
            line.order_id._to_units(
                base_lines[line]["tax_details"]["total_excluded_currency"]
                + base_lines[line]["tax_details"]["delta_total_excluded_currency"]
            )
            for line in self
        ]

    def _get_split_totals(self, base_line):
        """Return the rounded amounts of the line by key, in units of the order's and of the company's currency."""
        self.ensure_one()
        order, company_currency = self.order_id, self.company_id.currency_id
        details = base_line["tax_details"]

        def units(values, name, delta=None):
            return (
                order._to_units(values[f"{name}_currency"] + (values[f"{delta}_currency"] if delta else 0.0)),
                order._to_units(values[name] + (values[delta] if delta else 0.0), company_currency),
            )

        amounts, signs = {"untaxed": units(details, "total_excluded", "delta_total_excluded")}, []
        for data in details["taxes_data"]:
            key = ("tax_amount", data["tax"].id)
            signs.append((key, -1 if data["is_reverse_charge"] else 1))
            if not data["is_reverse_charge"]:
                amounts[key] = units(data, "tax_amount")
                amounts["base_amount", data["tax"].id] = units(data, "base_amount")
        included = [("tax_amount", data["tax"].id) for data in details["taxes_data"] if data["price_include"]]
        return {"units": amounts, "signs": signs, "included": included}

    def _prepare_share_tax_data(self, base_line, amounts, **values):
        """Return the ``extra_tax_data`` that fixes ``amounts`` (see ``sale.order._divide_lines``)."""
        self.ensure_one()
        order, company_currency = self.order_id, self.company_id.currency_id
        fixed = {
            **base_line,
            **values,
            "manual_total_excluded_currency": order._from_units(amounts["untaxed"][0]),
            "manual_total_excluded": order._from_units(amounts["untaxed"][1], company_currency),
            "manual_tax_amounts": {},
        }
        for key, units in amounts.items():
            if key in ("untaxed", "signs"):
                continue
            name, tax_id = key
            by_tax = fixed["manual_tax_amounts"].setdefault(str(tax_id), {})
            by_tax[f"{name}_currency"] = order._from_units(units[0])
            by_tax[name] = order._from_units(units[1], company_currency)
        fixed["manual_tax_amounts"] = self.env["account.tax"]._prepare_manual_tax_amounts(
            fixed["tax_ids"], fixed["manual_tax_amounts"]
        )
        return {**self.env["account.tax"]._export_base_line_extra_tax_data(fixed), SPLIT: True}

    def _is_fixed_by_split(self):
        return bool((self.extra_tax_data or {}).get(SPLIT))

    def _release_split_amounts(self):
        for line in self:
            line._write_past_guard({"extra_tax_data": line._get_released_tax_data()})

    # -- shares ------------------------------------------------------------------------------------------

    def _write_shares(self, milestones, weights, shares, base_lines, whole):
        """Make the lines the first of their shares, and create the others, with the sections of the milestones.

        :param dict whole: the milestone of each line that is not divided
        """
        sequences = self._get_share_sequences(milestones, whole)
        places = {milestone: place for place, milestone in enumerate(milestones)}
        for line, milestone in whole.items():
            line._assign_whole(milestone, sequences[line][places.get(milestone, 0)])
        vals_list, known = self.order_id._prepare_split_sections(milestones, sequences)
        for line in self.sorted():
            first, *others = line._prepare_shares_values(base_lines[line], weights, shares[line], milestones)
            first_sequence, *other_sequences = sequences[line]
            line._write_past_guard({"milestone_source_id": line.id, "sequence": first_sequence, **first})
            if others:
                copied = {**line.copy_data()[0], **IDLE_VALUES, "milestone_source_id": line.id}
                vals_list += line._prepare_created_shares(copied, others, other_sequences)
                known.update(line._get_known_values(others, shares[line][1:]))
        return self._create_shares(vals_list, known)

    def _prepare_created_shares(self, copied, others, sequences):
        """Return the complete values of the shares to create, with what is stored by quantity."""
        self.ensure_one()
        by_quantity, vals_list = {}, []
        for values, sequence in zip(others, sequences, strict=True):
            vals = {**copied, **values, "order_id": self.order_id.id, "sequence": sequence}
            key = vals["product_uom_id"], vals["product_uom_qty"]
            if key not in by_quantity:
                by_quantity[key] = self._get_quantity_values(vals)
            vals_list.append({**vals, **by_quantity[key]})
        return vals_list

    def _get_quantity_values(self, vals):
        """Return what is stored of a line by its product, unit and quantity, as its own addon computes it."""
        names = ("display_type", "product_id", "product_uom_id", "product_uom_qty", *IDLE_VALUES)
        line = self.new({name: vals[name] for name in names if name in vals})
        return {
            name: line._fields[name].convert_to_write(line[name], line)
            for name in QUANTITY_FIELDS
            if name in line._fields
        }

    def _get_known_values(self, others, shares):
        """Return by (divided line, milestone) what is computed of a share before it is created."""
        self.ensure_one()
        same = {name: self._fields[name].convert_to_write(self[name], self) for name in SHARED_FIELDS}
        computed, known = {}, {}
        for values, share in zip(others, shares, strict=True):
            key = _get_share_key(share), values["product_uom_qty"]
            if key not in computed:
                computed[key] = {**same, **self._get_share_amounts(share, values["product_uom_qty"])}
            known[self.id, values["billing_milestone_id"]] = computed[key]
        return known

    def _create_shares(self, vals_list, known):
        lines = self.with_context(milestone_share_values=known, sale_no_log_for_new_lines=True).create(vals_list)
        for name in (*IDLE_VALUES, *QUANTITY_FIELDS):
            if name in self._fields:
                self.env.remove_to_compute(self._fields[name], lines)
        return lines.with_env(self.env)

    def _get_share_sequences(self, milestones, whole):
        """Return by line where its shares will stand: behind what is free, and behind the section of their milestone.

        There they stand in the order of the quotation, with the ``whole`` lines between them. Where milestones of an
        earlier plan, or of whole lines only, stand between them, they are arranged as usual.
        """
        lines = self.union(*whole).sorted()
        free = self.order_id.order_line.filtered(lambda line: not line.billing_milestone_id and not line.is_downpayment)
        start, height = len(free - lines) + 1, len(lines) + 1
        sections = [start + height * position for position in range(len(milestones))]
        return {
            "sections": sections,
            **{line: [section + place for section in sections] for place, line in enumerate(lines, 1)},
        }

    def _get_share_amounts(self, share, quantity):
        """Return the computed amounts of a share, as :meth:`_compute_amount` would find them."""
        self.ensure_one()
        untaxed = self.order_id._from_units(share["untaxed"][0])
        tax = sum(sign * share[key][0] for key, sign in share["signs"])
        total = self.order_id._from_units(share["untaxed"][0] + tax)
        return {
            "price_subtotal": untaxed,
            "price_total": total,
            "price_tax": total - untaxed,
            "price_reduce_taxexcl": untaxed / quantity if quantity else 0.0,
            "price_reduce_taxinc": total / quantity if quantity else 0.0,
        }

    def _prepare_shares_values(self, base_line, weights, shares, milestones):
        """Return the values of each share of the line."""
        self.ensure_one()
        included = self._get_split_totals(base_line)["included"]
        gross = [
            self.order_id._from_units(share["untaxed"][0] + sum(share[key][0] for key in included)) for share in shares
        ]
        prices = self._divide_quantity(weights, gross) or self._divide_price(weights, gross)
        tax_data, result = {}, []
        for price, share, milestone in zip(prices, shares, milestones, strict=True):
            priced = {
                "quantity": price["product_uom_qty"],
                "price_unit": price["price_unit"],
                "discount": price["discount"],
            }
            key = _get_share_key(share), *priced.values()
            if key not in tax_data:
                tax_data[key] = self._prepare_share_tax_data(base_line, share, **priced)
            result.append(
                {
                    **price,
                    "technical_price_unit": 0.0,  # no pricelist resets an agreed price
                    "billing_milestone_id": milestone.id,
                    "extra_tax_data": tax_data[key],
                }
            )
        return result

    def _divide_quantity(self, weights, gross):
        """Return the values of shares with a part of the quantity each, or nothing when they are not whole."""
        self.ensure_one()
        unit = self.env.ref("uom.product_uom_unit")
        step = 1.0 if self.product_uom_id._has_common_reference(unit) else self.product_uom_id.rounding
        steps, whole = round(self.product_uom_qty / step), sum(weights)
        if self.product_uom_id.compare(steps * step, self.product_uom_qty) != 0 or any(
            steps * weight % whole for weight in weights
        ):
            return []
        quantities = [self.product_uom_id.round(steps * weight // whole * step) for weight in weights]
        price = self.price_unit * (1 - self.discount / 100)
        if any(
            self.currency_id.compare_amounts(self.currency_id.round(quantity * price), amount) != 0
            for quantity, amount in zip(quantities, gross, strict=True)
        ):
            return []
        same = {"price_unit": self.price_unit, "discount": self.discount}
        return [{"product_uom_qty": quantity, **same} for quantity in quantities]

    def _divide_price(self, weights, gross):
        """Return the values of shares that are one unit each, at their amount, and say what they are a part of."""
        self.ensure_one()
        unit, whole = self.env.ref("uom.product_uom_unit"), sum(weights)
        factor = 1 - self.discount / 100
        prices = [self.currency_id.round(amount / factor) for amount in gross]
        discounted = all(
            self.currency_id.compare_amounts(self.currency_id.round(price * factor), amount) == 0
            for price, amount in zip(prices, gross, strict=True)
        )
        names = {weight: self._get_share_name(100 * weight / whole) for weight in set(weights)}
        return [
            {
                "name": names[weight],
                "product_uom_id": unit.id,
                "product_uom_qty": 1.0,
                "price_unit": price if discounted else amount,
                "discount": self.discount if discounted else 0.0,
            }
            for weight, price, amount in zip(weights, prices, gross, strict=True)
        ]

    def _assign_whole(self, milestone, sequence):
        values = {"milestone_source_id": self.id, "billing_milestone_id": milestone.id, "sequence": sequence}
        Rearrangement.mark(self).write(values)

    def _keep_split_values(self, complete):
        """Note what a division changes: where the line stands, or all of it."""
        self.ensure_one()
        if complete:
            values = {name: self._fields[name].convert_to_read(self[name], self, False) for name in SOURCE_FIELDS}
        else:
            values = {"sequence": self.sequence}
        kept = {**values, **(self.milestone_source_values or {})}
        if kept != self.milestone_source_values:
            self._write_past_guard({"milestone_source_values": kept})

    def _restore_split_values(self):
        """Restore what was noted; nothing but the fields that a division changes."""
        for line in self:
            values = {name: value for name, value in line.milestone_source_values.items() if name in SOURCE_FIELDS}
            line._write_past_guard({**values, "milestone_source_id": False, "milestone_source_values": False})
