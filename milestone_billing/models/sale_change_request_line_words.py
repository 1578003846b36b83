from odoo import api, models
from odoo.tools import format_date


class SaleChangeRequestLine(models.Model):
    """What a line does, in words."""

    _inherit = "sale.change.request.line"

    @api.depends("action", "milestone_id", "target_id", "amount", "new_name", "new_date", "deliverable_ids.summary")
    @api.depends_context("lang")
    def _compute_summary(self):
        for line in self:
            line.summary = "" if line._is_out_of_sight() else "\n".join(line._describe())

    def _is_out_of_sight(self):
        """Whether a form says milestones or a contract that its user does not read, or none yet.

        See the method of the request.
        """
        self.ensure_one()
        if self.id:
            return False
        order = self.order_id._origin
        if not order or not order._is_contract_readable():
            return True
        milestones = self.milestone_id | self.target_id | self.after_id
        told = (self._origin, milestones._origin, self.new_approver_ids._origin, self.deliverable_ids._origin)
        return not all(records.sudo(False).has_access("read") for records in told if records)

    def _describe(self):
        """Return sentences that say what the line does, in the language of the environment."""
        self.ensure_one()
        milestone, amount = self.milestone_id.name or "", self.currency_id.format(self.amount)
        date = format_date(self.env, self.new_date)
        if self.action == "add":
            sentences = [self.env._("New milestone %(name)s for %(amount)s", name=self.new_name or "", amount=amount)]
        elif self.action == "split":
            sentences = [
                self.env._(
                    "%(amount)s of %(milestone)s become the milestone %(name)s",
                    amount=amount,
                    milestone=milestone,
                    name=self.new_name or "",
                )
            ]
        elif self.action == "merge":
            sentences = [
                self.env._(
                    "%(milestone)s becomes part of %(target)s", milestone=milestone, target=self.target_id.name or ""
                )
            ]
        elif self.action == "cancel":
            sentences = [self.env._("%(milestone)s is cancelled", milestone=milestone)]
        else:
            sentences = self._describe_change()
        if self.action in ("add", "split") and date:
            sentences.append(self.env._("Contract date: %(date)s", date=date))
        return sentences + [change.summary for change in self.deliverable_ids]

    def _describe_change(self):
        if self._adds_beside_approved():
            name = self.created_milestone_id.name or self._get_own_milestone_name()
            return self._describe_own_milestone(name) + self._describe_terms(name)
        return self._describe_milestone() + self._describe_terms(self.milestone_id.name)

    def _describe_own_milestone(self, name):
        """Return what becomes of an increase of a milestone that the client has approved already."""
        sentences = [
            self.env._(
                "New milestone %(name)s for %(amount)s, as %(milestone)s is approved already",
                name=name,
                amount=self.currency_id.format(self.amount),
                milestone=self.milestone_id.name,
            )
        ]
        if self.new_date:
            sentences.append(self.env._("Contract date: %(date)s", date=format_date(self.env, self.new_date)))
        return sentences

    def _describe_milestone(self):
        """Return what changes of amount, name and date."""
        milestone, sentences = self.milestone_id, []
        if not self.currency_id.is_zero(self.amount):
            sentences.append(
                self.env._(
                    "%(milestone)s: %(sign)s %(amount)s",
                    milestone=milestone.name,
                    sign="+" if self.amount > 0 else "−",
                    amount=self.currency_id.format(abs(self.amount)),
                )
            )
        if self._reduces_approved():
            sentences.append(self.env._("%(milestone)s: what is billed already is credited", milestone=milestone.name))
        if self.new_name and self.new_name != milestone.name:
            sentences.append(self.env._("%(old)s is called %(new)s", old=milestone.name, new=self.new_name))
        if self.new_date:
            sentences.append(
                self.env._(
                    "%(milestone)s: due on %(date)s",
                    milestone=milestone.name,
                    date=format_date(self.env, self.new_date),
                )
            )
        return sentences

    def _describe_terms(self, name):
        """Return what changes of scope, approvers and review period of the milestone of that name."""
        sentences = []
        if self._changes_scope():
            sentences.append(self.env._("%(milestone)s: the scope is written anew", milestone=name))
        if self.new_approver_ids:
            sentences.append(
                self.env._(
                    "%(milestone)s: approved by %(names)s",
                    milestone=name,
                    names=", ".join(self.new_approver_ids.mapped("name")),
                )
            )
        if self.new_review_days:
            sentences.append(
                self.env._("%(milestone)s: review period of %(days)s days", milestone=name, days=self.new_review_days)
            )
        return sentences

    def _adds_beside_approved(self):
        """Whether an increase is, or was when it was applied, a milestone of its own."""
        self.ensure_one()
        return bool(self.created_milestone_id) if self.request_id.applied_on else self._becomes_milestone()

    def _reduces_approved(self):
        """Whether what is approved is reduced, or was when the line was applied."""
        self.ensure_one()
        if self.request_id.applied_on:
            return any(self.order_line_ids.mapped("is_reduction"))
        return self.milestone_id.state == "approved" and self.currency_id.compare_amounts(self.amount, 0.0) < 0
