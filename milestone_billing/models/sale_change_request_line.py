from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import html2plaintext

from .sale_milestone import AMOUNT_GROUPS

ACTIONS = [
    ("add", "Add a Milestone"),
    ("change", "Change a Milestone"),
    ("split", "Split a Milestone"),
    ("merge", "Merge into Another"),
    ("cancel", "Cancel a Milestone"),
]


class SaleChangeRequestLine(models.Model):
    """What a change request does to one milestone. Empty fields leave things as they are."""

    _name = "sale.change.request.line"
    _description = "Change of a Milestone"
    _inherit = ["sale.milestone.protected.mixin"]
    _order = "request_id, sequence, id"

    _protected_fields = frozenset(
        {"base_values", "created_milestone_id", "order_line_ids", "company_id", "currency_id", "order_id"}
    )

    request_id = fields.Many2one("sale.change.request", required=True, index=True, ondelete="cascade")
    sequence = fields.Integer(default=10)
    action = fields.Selection(ACTIONS, default="change", required=True)
    milestone_id = fields.Many2one(
        "sale.milestone",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('order_id', '=', order_id), ('state', '!=', 'cancelled')]",
    )
    target_id = fields.Many2one(
        "sale.milestone",
        string="Merge Into",
        ondelete="restrict",
        domain="[('order_id', '=', order_id), ('id', '!=', milestone_id), "
        "('state', 'not in', ('approved', 'cancelled'))]",
    )
    amount = fields.Monetary(
        string="Amount (+/-)",
        groups=AMOUNT_GROUPS,
        help="Untaxed. Of a new milestone: its amount. Of a changed one: what is added to it, or taken from it. "
        "Of a split one: the part that becomes a milestone of its own.",
    )
    new_name = fields.Char()
    new_date = fields.Date(string="New Contract Date")
    new_description = fields.Html(string="New Scope")
    new_approver_ids = fields.Many2many(
        "res.partner", string="New Approvers", help="Contacts of the client who approve this milestone from then on."
    )
    new_review_days = fields.Integer(string="New Review Period (days)")
    product_id = fields.Many2one(
        "product.product",
        check_company=True,
        domain="[('sale_ok', '=', True), ('type', '=', 'service')]",
        help="Of a new milestone: taxes and income account come from it. Empty: the company's milestone product.",
    )
    after_id = fields.Many2one(
        "sale.milestone",
        string="Placed After",
        ondelete="set null",
        domain="[('order_id', '=', order_id)]",
        help="Empty: at the end of the plan.",
    )
    deliverable_ids = fields.One2many(
        "sale.change.request.deliverable", "line_id", string="Changed Deliverables", copy=True
    )
    base_values = fields.Json(
        string="Written Against", readonly=True, copy=False, help="The milestone as it was when this was written."
    )
    created_milestone_id = fields.Many2one("sale.milestone", readonly=True, copy=False, ondelete="restrict")
    order_line_ids = fields.One2many("sale.order.line", "change_line_id", string="Order Lines", readonly=True)
    summary = fields.Text(compute="_compute_summary", compute_sudo=True, groups=AMOUNT_GROUPS)

    order_id = fields.Many2one(related="request_id.order_id", store=True, index=True, precompute=True)
    company_id = fields.Many2one(related="request_id.company_id", store=True, precompute=True)
    currency_id = fields.Many2one(related="request_id.currency_id", store=True, precompute=True)

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.request_id._check_content_free()
        lines._keep_base()
        return lines

    def write(self, vals):
        self.request_id._check_content_free()
        if "request_id" in vals and any(line.request_id.id != vals["request_id"] for line in self):
            raise UserError(self.env._("A change stays with its request. Add it to the other one, and remove it here."))
        result = super().write(vals)
        if "milestone_id" in vals or "target_id" in vals:
            self._keep_base()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_presented(self):
        self.request_id._check_content_free()

    @api.constrains("action", "milestone_id", "target_id", "after_id", "request_id")
    def _check_milestones(self):
        for line in self.sudo():
            strangers = (line.milestone_id | line.target_id | line.after_id).filtered(
                lambda milestone, line=line: milestone.order_id != line.request_id.order_id
            )
            if strangers:
                strangers.sudo(False).check_access("read")
                raise ValidationError(
                    self.env._("%(milestone)s belongs to another contract.", milestone=strangers[0].display_name)
                )
            if line.action == "add" and line.milestone_id:
                raise ValidationError(self.env._("A new milestone changes no other one: leave the milestone empty."))
            if line.action != "add" and not line.milestone_id:
                raise ValidationError(self.env._("Say which milestone is concerned."))

    @api.constrains("new_approver_ids")
    def _check_approvers(self):
        for line in self.sudo():
            line.order_id._check_approvers(line.new_approver_ids)

    # -- what it was written against --------------------------------------------------------------------

    def _keep_base(self):
        for line in self:
            line._write_protected({"base_values": line.sudo()._get_base_values()})

    def _get_base_values(self):
        """Return what a conflict is measured by: the milestones as they are now."""
        self.ensure_one()
        return {
            str(milestone.id): {
                "name": milestone.name,
                "contract_date": fields.Date.to_string(milestone.contract_date) or "",
                "untaxed": milestone._format_exact(milestone.amount_untaxed),
                "closed": milestone.state if milestone.state in ("approved", "cancelled") else "",
                "deliverables": sorted(
                    [deliverable.id, deliverable.name, deliverable.acceptance_criteria or ""]
                    for deliverable in milestone.deliverable_ids
                ),
            }
            for milestone in self.milestone_id | self.target_id
        }

    def _get_base_conflict(self):
        """Return what changed of the milestones since this line was written, as a text; empty when nothing did."""
        self.ensure_one()
        now, base = self.sudo()._get_base_values(), self.base_values or {}
        if now == base:
            return ""
        labels = {
            "name": self.env._("name"),
            "contract_date": self.env._("contract date"),
            "untaxed": self.env._("amount"),
            "closed": self.env._("state"),
            "deliverables": self.env._("deliverables"),
        }
        changed = [
            labels[key] for key in labels if any(now[name].get(key) != base.get(name, {}).get(key) for name in now)
        ]
        return self.env._(
            "%(milestone)s changed since this was written (%(what)s).",
            milestone=", ".join((self.milestone_id | self.target_id).mapped("name")),
            what=", ".join(changed),
        )

    def _get_touched(self):
        """Return the milestones that the lines change."""
        return self.milestone_id | self.target_id

    # -- checks -----------------------------------------------------------------------------------------

    def _get_problem(self):
        """Return why this line cannot be applied to the contract as it is, or an empty string."""
        self.ensure_one()
        check = getattr(self, f"_get_problem_of_{self.action}")
        milestone = self.milestone_id
        if milestone.state == "cancelled" or self.target_id.state == "cancelled":
            return self.env._("%(milestone)s is cancelled.", milestone=(milestone | self.target_id)[:1].name)
        if (milestone | self.target_id).filtered("is_retention"):
            return self.env._("%(milestone)s follows from the other milestones.", milestone=milestone.name)
        if self.new_review_days < 0:
            return self.env._("A review period is not negative.")
        if self.product_id and self.product_id.type != "service":
            return self.env._(
                "%(product)s is no service, and a milestone delivers no goods. Choose a service, or no product at all.",
                product=self.product_id.display_name,
            )
        return check() or self._get_problem_of_deliverables()

    def _get_problem_of_add(self):
        if not (self.new_name or "").strip():
            return self.env._("A new milestone needs a name.")
        if self.currency_id.compare_amounts(self.amount, 0.0) <= 0:
            return self.env._("%(milestone)s needs an amount that the client pays.", milestone=self.new_name)
        return ""

    def _get_problem_of_change(self):
        milestone, currency = self.milestone_id, self.currency_id
        if not self._changes_anything():
            return self.env._(
                "Nothing changes of %(milestone)s: say what, or remove the line.", milestone=milestone.name
            )
        if milestone.state == "approved" and not self._leaves_approved_as_it_is():
            return self.env._(
                "%(milestone)s is approved: only its amount can change. An increase becomes a milestone of its own, "
                "a reduction a credit note.",
                milestone=milestone.name,
            )
        left = currency.compare_amounts(milestone.amount_untaxed + self.amount, 0.0)
        if left < 0 or (left == 0 and milestone.state != "approved"):
            return self.env._(
                "%(milestone)s comes to %(amount)s: it cannot be reduced by %(reduction)s. Cancel it instead.",
                milestone=milestone.name,
                amount=currency.format(milestone.amount_untaxed),
                reduction=currency.format(-self.amount),
            )
        return ""

    def _get_problem_of_split(self):
        milestone, currency = self.milestone_id, self.currency_id
        if milestone.state == "approved":
            return self.env._("%(milestone)s is approved and cannot be split.", milestone=milestone.name)
        if not (self.new_name or "").strip():
            return self.env._("Name the milestone that is split off %(milestone)s.", milestone=milestone.name)
        if (
            currency.compare_amounts(self.amount, 0.0) <= 0
            or currency.compare_amounts(self.amount, milestone.amount_untaxed) >= 0
        ):
            return self.env._(
                "What is split off %(milestone)s must be more than nothing and less than its %(amount)s.",
                milestone=milestone.name,
                amount=currency.format(milestone.amount_untaxed),
            )
        return ""

    def _get_problem_of_merge(self):
        if not self.target_id or self.target_id == self.milestone_id:
            return self.env._("Say into which other milestone %(milestone)s goes.", milestone=self.milestone_id.name)
        for milestone in self.milestone_id | self.target_id:
            if milestone.state == "approved":
                return self.env._("%(milestone)s is approved and cannot be merged.", milestone=milestone.name)
        return ""

    def _get_problem_of_cancel(self):
        if self.milestone_id.state == "approved":
            return self.env._(
                "%(milestone)s is approved and cannot be cancelled: reduce its amount instead.",
                milestone=self.milestone_id.name,
            )
        return ""

    def _get_problem_of_deliverables(self):
        if self.deliverable_ids and self.action in ("merge", "cancel"):
            return self.env._("%(milestone)s ends: its deliverables cannot change.", milestone=self.milestone_id.name)
        for change in self.deliverable_ids:
            if problem := change._get_problem():
                return problem
        return ""

    def _leaves_approved_as_it_is(self):
        """Whether the line touches nothing that the client approved: what it says beside the amount is of a new one."""
        self.ensure_one()
        if self._becomes_milestone():
            return all(change.action == "add" for change in self.deliverable_ids)
        return not self._changes_more_than_amount()

    def _changes_anything(self):
        self.ensure_one()
        return not self.currency_id.is_zero(self.amount) or self._changes_more_than_amount()

    def _changes_more_than_amount(self):
        self.ensure_one()
        milestone = self.milestone_id
        return bool(
            (self.new_name and self.new_name != milestone.name)
            or (self.new_date and self.new_date != milestone.contract_date)
            or self._changes_scope()
            or self.new_approver_ids
            or self.new_review_days
            or self.deliverable_ids
        )

    def _changes_scope(self):
        self.ensure_one()
        return bool(self.new_description) and bool(html2plaintext(self.new_description).strip())

    def _prepare_snapshot_values(self):
        """Return what the client decides on, line by line; amounts as exact texts."""
        return [
            {
                "id": line.id,
                "action": line.action,
                "milestone": line.milestone_id.id,
                "target": line.target_id.id,
                "amount": line.milestone_id._format_exact(line.amount)
                if line.milestone_id
                else f"{line.amount:.{line.currency_id.decimal_places}f}",
                "name": line.new_name or "",
                "contract_date": fields.Date.to_string(line.new_date) or "",
                "scope": line.new_description or "",
                "approvers": line.new_approver_ids.ids,
                "review_days": line.new_review_days,
                "product": line.product_id.id,
                "after": line.after_id.id,
                "base": line._get_base_values(),
                "deliverables": line.deliverable_ids._prepare_snapshot_values(),
            }
            for line in self.sorted(lambda line: (line.sequence, line.id))
        ]
