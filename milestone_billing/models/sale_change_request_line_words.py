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
        milestone = self.milestone_id
        sentences = []
        if not self.currency_id.is_zero(self.amount):
            sign = "+" if self.amount > 0 else "−"
            sentences.append(
                self.env._(
                    "%(milestone)s: %(sign)s %(amount)s",
                    milestone=milestone.name,
                    sign=sign,
                    amount=self.currency_id.format(abs(self.amount)),
                )
            )
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
        if self._changes_scope():
            sentences.append(self.env._("%(milestone)s: the scope is written anew", milestone=milestone.name))
        if self.new_approver_ids:
            sentences.append(
                self.env._(
                    "%(milestone)s: approved by %(names)s",
                    milestone=milestone.name,
                    names=", ".join(self.new_approver_ids.mapped("name")),
                )
            )
        if self.new_review_days:
            sentences.append(
                self.env._(
                    "%(milestone)s: review period of %(days)s days", milestone=milestone.name, days=self.new_review_days
                )
            )
        return sentences
