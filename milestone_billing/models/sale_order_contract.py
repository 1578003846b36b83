import json

from odoo import api, models
from odoo.exceptions import AccessError, UserError

from ..tools.contract_differences import MISSING, Item, find_differences

CONTRACT_VERSION = 2
# What contracts that were agreed before version 2 say only where it was agreed; what else they lack they never said.
OPTIONAL_KEYS_OF_VERSION_1 = frozenset({"advance", "retention", "cap", "billed", "billing_day"})
# Who signed when: kept with the contract, and no part of what was signed.
SIGNATURE_KEYS = frozenset(
    {"signed_by", "signed_on", "signature", "countersign", "countersigned_by", "countersigned_on", "countersignature"}
)
# What sales administrators may still change on a confirmed contract: who approves, and how we work.
ADMINISTERED_KEYS = frozenset({"approvers", "internal_review", "invoice_policy", "billed", "billing_day"})
# Where a difference is looked for first; what the sums are follows from the rest.
FIRST_KEYS = ("lines", "milestones", "conditions")
LAST_KEYS = ("untaxed", "tax", "total")
AMOUNT_KEYS = frozenset({"untaxed", "tax", "total", "price_unit", "cap"})
# Fields of the order that are signed and that nobody changes afterwards, beside those of the other terms.
SIGNED_FIELDS = frozenset(
    {
        "name",
        "payment_term_id",
        "fiscal_position_id",
        "note",
        "milestone_review_days",
        "milestone_client_approval",
        "milestone_approval_rule",
        "milestone_countersign",
    }
)


class SaleOrder(models.Model):
    """What is signed: put down as a text, frozen, and compared with what the order says now."""

    _inherit = "sale.order"

    def write(self, vals):
        names = SIGNED_FIELDS.intersection(vals)
        if names:
            self._check_signed_fields({name: vals[name] for name in names})
        if vals.get("partner_invoice_id"):
            self._check_payer(self.env["res.partner"].browse(vals["partner_invoice_id"]))
        return super().write(vals)

    def _check_signed_fields(self, vals):
        """:raises UserError: when ``vals`` changes a condition that was agreed with the client"""
        for order in self.filtered(lambda order: order.milestone_ids._is_agreed()):
            changed = [name for name, value in vals.items() if order._is_term_changed(name, value)]
            if changed:
                order._refuse_change_of_terms(changed)

    def _check_payer(self, partner):
        """:raises UserError: when somebody else than who agreed would get the invoices"""
        self.check_access("write")  # who may not learns nothing of the order
        payer = partner.sudo().commercial_partner_id
        for order in self.sudo().filtered(lambda order: order.milestone_ids._is_agreed()):
            if payer not in (order.partner_invoice_id | order.partner_id).commercial_partner_id:
                raise UserError(
                    self.env._(
                        "%(order)s is agreed with %(customer)s: its invoices go to a contact of that customer.",
                        order=order.name,
                        customer=order.partner_id.commercial_partner_id.display_name,
                    )
                )

    def _compute_fiscal_position_id(self):
        """Another delivery address does not change the taxes of an agreed contract."""
        agreed = self.filtered(lambda order: order.milestone_ids._is_agreed())
        return super(SaleOrder, self - agreed)._compute_fiscal_position_id()

    # -- what is signed -------------------------------------------------------------------------------------

    def _agree_contract(self):
        if not self._has_evidence():
            self.sudo().milestone_ids.deliverable_ids._write_protected({"is_agreed": True})
        return super()._agree_contract()

    def _prepare_contract_values(self):
        """Add what the client signs beside the plan: lines, deliverables, conditions."""
        values = super()._prepare_contract_values()
        digits = self.currency_id.decimal_places
        values["version"] = CONTRACT_VERSION
        values["tax"] = f"{self.amount_tax:.{digits}f}"
        values["lines"] = [line._prepare_contract_values() for line in self._get_contract_lines()]
        values["conditions"] = {
            "payment_term": self.payment_term_id.id or "",
            "fiscal_position": self.fiscal_position_id.id or "",
            "note": str(self.note or ""),
            "review_days": self.milestone_review_days,
            "client_approval": self.milestone_client_approval,
            "approval_rule": self.milestone_approval_rule or "",
            "internal_review": self.milestone_internal_review,
            "invoice_policy": self.milestone_invoice_policy or "",
        }
        for milestone, milestone_values in zip(self.milestone_ids.sorted("id"), values["milestones"], strict=True):
            milestone_values["deliverables"] = milestone._get_contract_deliverables()._prepare_contract_values()
        return values

    def _get_contract_lines(self):
        """Return the lines that are priced for the client; what the work brings along is none of them."""
        self.ensure_one()
        return self.order_line.filtered(
            lambda line: not (line.display_type or line.is_downpayment or line.is_expense)
        ).sorted("id")

    def _get_agreed_contract(self):
        """Return the text of the last agreement, which the order has to be the same as."""
        self.ensure_one()
        return self.sudo().milestone_contract

    # -- verification ---------------------------------------------------------------------------------------

    def action_verify_contract(self):
        """Tell whether the order still is what was signed.

        :raises AccessError: for users of the portal
        :raises UserError: when nothing was agreed
        """
        self.ensure_one()
        self.check_access("read")
        if self.env.user.share:
            raise AccessError(self.env._("Only employees verify contracts."))
        if not self.milestone_contract_hash:
            raise UserError(self.env._("%(order)s is no agreed contract.", order=self.name))
        if problem := self._verify_signed_contract():
            message, kind = problem, "danger"
        elif changes := self._describe_free_changes():
            message, kind = " ".join([self._describe_verified(), *changes]), "warning"
        else:
            message, kind = self.env._("%s The record of it is unbroken.", self._describe_verified()), "success"
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"title": self.env._("Contract"), "message": message, "type": kind, "sticky": kind != "success"},
        }

    def _describe_verified(self):
        """Say what a verified order is: what was signed, and what both sides changed of it since."""
        self.ensure_one()
        count = self.change_order_count
        if not count:
            return self.env._("The order is what was signed.")
        if count == 1:
            return self.env._("The order is what was signed, with 1 change order.")
        return self.env._("The order is what was signed, with %s change orders.", count)

    def _describe_free_changes(self):
        """Return what was changed since of that which may be, a sentence each."""
        self.ensure_one()
        if changes := self._get_administered_changes():
            return [self.env._("What sales administrators may change was changed since: %s.", changes)]
        return []

    def _verify_signed_contract(self):
        """Return the first thing that is not as it was signed, in words, or an empty string."""
        self.ensure_one()
        return self._verify_contract() or self._verify_signatures() or self._verify_content()

    def _verify_signatures(self):
        """Return which signature is not the one that the contract was agreed with, or an empty string."""
        self.ensure_one()
        order = self.sudo()
        if order.state != "sale" or not order.milestone_contract:
            return ""
        agreed = json.loads(order.milestone_contract)
        now = {
            "countersigned_by": "",
            "countersigned_on": "",
            "countersignature": "",
            **order._prepare_contract_values(),
        }
        for keys, message in (
            (
                ("signed_by", "signed_on", "signature"),
                self.env._("The client's signature of %(order)s is not the one of the contract.", order=self.name),
            ),
            (
                ("countersigned_by", "countersigned_on", "countersignature"),
                self.env._("The countersignature of %(order)s is not the one of the contract.", order=self.name),
            ),
        ):
            if any(agreed.get(key, "") != now[key] for key in keys):
                return message
        return ""

    def _verify_content(self):
        """Return the first thing of the order that is not what was agreed, in words, or an empty string."""
        self.ensure_one()
        for difference in self._get_contract_differences():
            if not ADMINISTERED_KEYS.intersection(difference.trail):
                return self._describe_difference(difference)
        return ""

    def _get_administered_changes(self):
        differences = self._get_contract_differences()
        administered = [item for item in differences if ADMINISTERED_KEYS.intersection(item.trail)]
        labels = self._get_contract_labels()
        names = {next(key for key in item.trail if key in ADMINISTERED_KEYS) for item in administered}
        return ", ".join(sorted(labels.get(name, name) for name in names))

    def _get_contract_differences(self):
        """Return how a confirmed order differs from the last agreement, the telling differences first."""
        self.ensure_one()
        text = self._get_agreed_contract()
        if self.state != "sale" or not text:
            return []
        agreed = json.loads(text)
        current = json.loads(self.env["sale.approval"]._dump_canonical(self.sudo()._prepare_contract_values()))
        if "version" not in agreed:
            said = agreed.keys() | OPTIONAL_KEYS_OF_VERSION_1
            current = {key: value for key, value in current.items() if key in said}
            for milestone_values in current["milestones"]:
                milestone_values.pop("deliverables", None)
        return list(find_differences(self._order_contract_keys(agreed), self._order_contract_keys(current)))

    @api.model
    def _order_contract_keys(self, values):
        """Return the values without who signed, in the order in which differences are told."""
        rest = [key for key in values if key not in FIRST_KEYS + LAST_KEYS and key not in SIGNATURE_KEYS]
        return {key: values[key] for key in (*FIRST_KEYS, *rest, *LAST_KEYS) if key in values}

    def _describe_difference(self, difference):
        """Return a difference as a sentence: what, of which record, signed and now."""
        self.ensure_one()
        labels = self._get_contract_labels()
        keys = [part for part in difference.trail if not isinstance(part, Item)]
        items = [part.name for part in difference.trail if isinstance(part, Item)]
        names = {
            "order": self.name,
            "field": labels.get(keys[-1], keys[-1]),
            "record": " ‣ ".join(items),
            "signed": self._format_contract_value(keys[-1], difference.agreed),
            "now": self._format_contract_value(keys[-1], difference.current),
        }
        if names["signed"] == names["now"]:  # less than what is shown
            names.update(signed=difference.agreed, now=difference.current)
        if isinstance(difference.trail[-1], Item):
            if difference.current is MISSING:
                return self.env._("%(order)s, %(field)s: “%(record)s” was signed and is not there any more.", **names)
            return self.env._("%(order)s, %(field)s: “%(record)s” was not part of what was signed.", **names)
        if items:
            return self.env._("%(order)s, %(field)s of “%(record)s”: signed %(signed)s, now %(now)s.", **names)
        return self.env._("%(order)s, %(field)s: signed %(signed)s, now %(now)s.", **names)

    def _format_contract_value(self, key, value):
        if value is MISSING or value in ("", None):
            return self.env._("nothing")
        if key in AMOUNT_KEYS:
            return self.currency_id.format(float(value))
        models_by_key = {
            "product": "product.product",
            "taxes": "account.tax",
            "payment_term": "account.payment.term",
            "fiscal_position": "account.fiscal.position",
            "customer": "res.partner",
            "company": "res.company",
            "uom": "uom.uom",
        }
        if key in models_by_key:
            records = self.env[models_by_key[key]].sudo().browse(value).exists()
            return ", ".join(records.mapped("display_name")) or str(value)
        if isinstance(value, bool):
            return self.env._("yes") if value else self.env._("no")
        return f"“{value}”" if isinstance(value, str) else str(value)

    def _get_contract_labels(self):
        """Return the words for the keys of a contract."""
        return {
            "lines": self.env._("lines"),
            "milestones": self.env._("milestones"),
            "deliverables": self.env._("deliverables"),
            "order": self.env._("number of the order"),
            "customer": self.env._("customer"),
            "company": self.env._("company"),
            "currency": self.env._("currency"),
            "untaxed": self.env._("untaxed amount"),
            "tax": self.env._("taxes"),
            "total": self.env._("total"),
            "approvers": self.env._("approvers"),
            "name": self.env._("name"),
            "contract_date": self.env._("contract date"),
            "after": self.env._("predecessors"),
            "acceptance_criteria": self.env._("acceptance criteria"),
            "milestone": self.env._("milestone"),
            "product": self.env._("product"),
            "quantity": self.env._("quantity"),
            "uom": self.env._("unit"),
            "price_unit": self.env._("price"),
            "discount": self.env._("discount"),
            "taxes": self.env._("taxes"),
            "payment_term": self.env._("payment terms"),
            "fiscal_position": self.env._("fiscal position"),
            "note": self.env._("terms and conditions"),
            "review_days": self.env._("review period"),
            "client_approval": self.env._("client approval"),
            "approval_rule": self.env._("approval rule"),
            "internal_review": self.env._("internal review"),
            "invoice_policy": self.env._("invoicing on approval"),
            "billed": self.env._("billing schedule"),
            "billing_day": self.env._("billing day"),
            "cap": self.env._("amount not to exceed"),
            "advance": self.env._("advance"),
            "retention": self.env._("retention"),
        }
