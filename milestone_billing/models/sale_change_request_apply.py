from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .agreed_change import AgreedChange


class Rehearsal(Exception):
    """Ends a rehearsal: everything it did is undone."""


class SaleChangeRequest(models.Model):
    """The application of an approved change request: at once, wholly or not at all."""

    _inherit = "sale.change.request"

    agreed_contract = fields.Text(string="Contract from Then On", readonly=True, copy=False, groups="base.group_system")
    agreed_contract_hash = fields.Char(string="Hash of the Contract", readonly=True, copy=False)

    def _apply(self):
        """Apply the request to its contract; the caller has recorded the client's approval.

        The contract is locked, so that two changes of it come one after the other, and the milestones
        that change, so that none of them is approved at the same time.

        :raises UserError: when it cannot be applied to the contract as it is; then nothing happened
        """
        self.ensure_one()
        order = self.order_id
        order.lock_for_update(allow_referencing=True)
        touched = self.line_ids._get_touched()
        touched.lock_for_update(allow_referencing=True)
        if problems := self._get_problems():
            raise UserError("\n".join(problems))
        plan, before = self._get_plan_change(), order._get_sums_by_tax()
        number = max([order.change_order_count, *order.change_request_ids.mapped("change_order_number")]) + 1
        # written, not only locked: whoever applies another change at the same time starts again and sees this one
        order._write_protected({"change_order_count": number})
        request = AgreedChange.mark(self)
        request._change_contract(number)
        self._check_revised(plan)
        self._check_presented(order._get_moved_sums(before))
        contract = self.env["sale.approval"]._dump_canonical(order._prepare_contract_values())
        self._write_protected(
            {
                "state": "approved",
                "applied_on": fields.Datetime.now(),
                "change_order_number": number,
                "days_delta": plan["days"],  # other changes may have moved the end since it was written
                "accepted_approval_id": self.approval_ids.filtered(
                    lambda approval: approval.decision == "approved" and approval.kind == "client"
                )
                .sorted("id")[-1:]
                .id,
                "agreed_contract": contract,
                "agreed_contract_hash": self.env["sale.approval"]._hash_text(contract),
            }
        )
        touched.filtered(lambda milestone: milestone._get_open_reductions())._queue_invoice()
        self._end_activities()
        self._note_application(touched)
        self._tell_stranded_advance()
        self._tell_others(touched)

    def _change_contract(self, number):
        """Change lines, milestones, deliverables and project; to be called with the mark of an agreed change."""
        self.ensure_one()
        order = self.order_id
        self._end_reviews(self.line_ids._get_touched())
        locked = order.locked
        if locked:
            order.locked = False
        for line in self.line_ids.sorted(lambda line: (line.sequence, line.id)):
            line._apply(number)
        if locked:
            order.locked = True
        AgreedChange.unmark(order)._arrange_milestone_lines()
        order._link_project_milestones()

    def _end_reviews(self, milestones):
        """Take back what waits for a decision on milestones that change, and tell who was asked."""
        for milestone in milestones.filtered("approval_id"):
            recipients = milestone.approval_id.recipient_ids.filtered(lambda recipient: recipient._is_live())
            milestone._close_round("withdrawn", {"method": "system"})
            milestone._set_review_state("in_progress")
            milestone._post_review_note(
                self.env._("Withdrawn from review: change request %(request)s applies.", request=self.display_name)
            )
            self.env["sale.approval"]._queue_mails(
                "milestone_billing.mail_template_milestone_withdrawn_by_change", recipients
            )

    def _check_revised(self, plan):
        """:raises UserError: when the contract is not what both sides looked at"""
        self.ensure_one()
        order = self.order_id
        revised = sum(order._get_live_milestones().mapped("amount_untaxed"))
        if order.currency_id.compare_amounts(revised, plan["after"]) != 0:
            raise UserError(
                self.env._(
                    "%(request)s would lead to %(actual)s, and %(agreed)s was looked at. Nothing was changed.",
                    request=self.display_name,
                    actual=order.currency_id.format(revised),
                    agreed=order.currency_id.format(plan["after"]),
                )
            )
        for milestone in order._get_live_milestones():
            if order.currency_id.compare_amounts(milestone.amount_total, 0.0) < 0:
                raise UserError(
                    self.env._(
                        "With taxes, %(milestone)s would come to %(amount)s, which no invoice can bill. Change it by "
                        "another amount.",
                        milestone=milestone.name,
                        amount=order.currency_id.format(milestone.amount_total),
                    )
                )

    def _check_presented(self, amounts):
        """What was agreed is the amount with taxes, too; taxes may change while the client thinks it over.

        :param dict amounts: by how much the contract changed, see ``sale.order._get_moved_sums``
        :raises UserError: when that is not what was shown
        """
        self.ensure_one()
        currency = self.currency_id
        presented = self.presented_amounts
        if not presented:  # written when nothing but the total was kept
            if currency.compare_amounts(float(amounts["total"]), self.total_delta) == 0:
                return
            presented = {"total": self.total_delta}
        if presented != amounts:
            raise UserError(
                self.env._(
                    "The taxes of %(request)s changed since it was presented: with taxes it comes to %(actual)s, and "
                    "%(shown)s was shown. Nothing was changed. Take it back and present it again.",
                    request=self.display_name,
                    actual=currency.format(float(amounts["total"])),
                    shown=currency.format(float(presented["total"])),
                )
            )

    def _tell_stranded_advance(self):
        """An advance that nothing is left to recover from is credited by hand: ask those who invoice to do so."""
        self.ensure_one()
        order = self.order_id
        stranded = order._get_stranded_advance()
        user = order.milestone_ids[:1]._get_invoicing_user()
        if not stranded or not user or not self.with_user(user).has_access("read"):
            return
        amount = order.currency_id.format(stranded)
        self.activity_schedule(
            "mail.mail_activity_data_todo",
            user_id=user.id,
            summary=self.env._("%(order)s: credit the rest of the advance", order=order.name),
            note=self.env._(
                "After change order %(number)s too little is left to bill: %(amount)s of the advance, taxes included, "
                "cannot be recovered any more. Credit that much of the advance invoice.",
                number=self.change_order_number,
                amount=amount,
            ),
        )

    def _note_application(self, touched):
        self.ensure_one()
        body = self.env._(
            "Change order %(number)s of %(date)s: %(title)s (%(amount)s untaxed).",
            number=self.change_order_number,
            date=format_date(self.env, self.applied_on),
            title=self.title,
            amount=self.currency_id.format(self.amount_delta),
        )
        approver = self.accepted_approval_id.decided_by
        for record in [self.order_id, *(touched | self.line_ids.created_milestone_id), self]:
            record.message_post(body=body, author_id=approver.id, subtype_xmlid="mail.mt_note")

    def _tell_others(self, touched):
        """The other open requests were written for the contract as it was.

        Those on the same milestones go back to the team; the client gets the others with the contract as it is.
        """
        self.ensure_one()
        for other in self.order_id.change_request_ids.filtered(lambda other: other != self and other._is_open()):
            common = other.line_ids._get_touched() & touched
            if common:
                other.lock_for_update(allow_referencing=True)
                other._refresh_deltas()
                other._recall(self._get_first_change(common), self._with_client_language()._get_first_change(common))
            else:
                other._follow_contract()

    def _get_first_change(self, milestones):
        self.ensure_one()
        return self.env._(
            "%(request)s changed %(milestones)s first.",
            request=self.display_name,
            milestones=", ".join(milestones.mapped("name")),
        )

    def _keep_presented_amounts(self):
        """Keep what the client is shown, and what the application is measured by.

        With the rights of the addon: to present a change is not to make it.

        :raises UserError: when it cannot be applied
        """
        self.ensure_one()
        amounts = self.sudo()._rehearse()
        deltas = self.sudo()._prepare_deltas()
        self._write_protected({"total_delta": float(amounts["total"]), "presented_amounts": amounts, **deltas})

    def _rehearse(self):
        """Return by how much the contract changes, tax by tax; apply the request to see it, and undo that.

        :return: see ``sale.order._get_moved_sums``
        :raises UserError: when it cannot be applied
        """
        self.ensure_one()
        order, plan = self.order_id, self._get_plan_change()
        before, amounts = order._get_sums_by_tax(), {}
        try:
            with self.env.cr.savepoint():
                request = AgreedChange.mark(self).with_context(mail_notrack=True, tracking_disable=True)
                request._change_contract(0)
                request._check_revised(plan)
                self.env.flush_all()
                amounts = order._get_moved_sums(before)
                raise Rehearsal
        except Rehearsal:
            self.env.invalidate_all()
        return amounts


class SaleChangeRequestLine(models.Model):
    _inherit = "sale.change.request.line"

    def _apply(self, number):
        """Do what the line says; ``number`` is that of the change order."""
        self.ensure_one()
        getattr(self, f"_apply_{self.action}")(number)

    def _apply_add(self, number):
        milestone = self._create_milestone(self.new_name, self.new_date, self.after_id)
        product = self.product_id or self.company_id._get_milestone_product()
        self._add_amount(milestone, product, self.amount, number)
        self.deliverable_ids._apply(milestone)

    def _apply_change(self, number):
        milestone = self.milestone_id
        if self._becomes_milestone():
            added = self._create_milestone(self._get_own_milestone_name(), self.new_date, milestone)
            self._share_amount(milestone, added, self.amount, number)
            self.deliverable_ids._apply(added)
            if not added.deliverable_ids:  # something to present
                self._add_deliverable(added, self.request_id.title)
            return
        values = {"name": self.new_name, "contract_date": self.new_date, "review_days": self.new_review_days}
        values = {name: value for name, value in values.items() if value}
        if self._changes_scope():
            values["description"] = self.new_description
        if self.new_approver_ids:
            values["approver_ids"] = [fields.Command.set(self.new_approver_ids.ids)]
        if values:
            milestone.write(values)
        self.deliverable_ids._apply(milestone)
        if self.currency_id.is_zero(self.amount):
            return
        if self.currency_id.compare_amounts(self.amount, -milestone.amount_untaxed) == 0:
            self._move_amount(milestone, None, milestone.amount_untaxed, number)  # with all of its taxes
        else:
            self._share_amount(milestone, milestone, self.amount, number)

    def _apply_split(self, number):
        milestone = self.milestone_id
        added = self._create_milestone(self.new_name, self.new_date or milestone.contract_date, milestone)
        self._move_amount(milestone, added, self.amount, number)
        self.deliverable_ids._apply(added)

    def _apply_merge(self, number):
        milestone, target = self.milestone_id, self.target_id
        self._move_amount(milestone, target, milestone.amount_untaxed, number)
        for deliverable in milestone.deliverable_ids:
            deliverable.write({"milestone_id": target.id})
        self._end_milestone(milestone)

    def _apply_cancel(self, number):
        self._move_amount(self.milestone_id, None, self.milestone_id.amount_untaxed, number)
        self._end_milestone(self.milestone_id)

    # -- milestones ---------------------------------------------------------------------------------------

    def _create_milestone(self, name, date, after):
        """Create a milestone of the contract behind ``after``, or at its end."""
        order = self.order_id
        ordered = order.milestone_ids.sorted(lambda milestone: (milestone.sequence, milestone.id))
        place = [*ordered].index(after) + 1 if after in ordered else len(ordered)
        for position, milestone in enumerate(ordered, 1):
            sequence = position if position <= place else position + 1
            if milestone.sequence != sequence:
                milestone.sequence = sequence
        added = self.env["sale.milestone"].create(
            {
                "order_id": order.id,
                "name": name,
                "contract_date": date,
                "sequence": place + 1,
                "description": self.new_description if self._changes_scope() else False,
                "review_days": self.new_review_days,
                "approver_ids": [fields.Command.set(self.new_approver_ids.ids)],
                "product_id": self.product_id.id or order.company_id._get_milestone_product().id,
            }
        )
        added._write_protected({"change_request_id": self.request_id.id})
        self._write_protected({"created_milestone_id": added.id})
        return added

    def _add_deliverable(self, milestone, name, **values):
        """Add a deliverable that both sides agreed on."""
        deliverable = self.env["sale.milestone.deliverable"].create(
            {"milestone_id": milestone.id, "name": name, **values}
        )
        deliverable._write_protected({"is_agreed": True})
        return deliverable

    def _end_milestone(self, milestone):
        """A cancelled milestone stays on the contract, with nothing to bill; its work is not done any more."""
        tasks = milestone.deliverable_ids.task_id.filtered(lambda task: task.state not in ("1_done", "1_canceled"))
        tasks.write({"state": "1_canceled"})
        milestone._set_review_state("cancelled")
        native = milestone.project_milestone_id
        if native:
            native.unlink()

    # -- amounts ------------------------------------------------------------------------------------------

    def _add_amount(self, target, product, amount, number):
        """Add ``amount`` to ``target``, with the taxes of ``product``."""
        lines = self.order_id._create_change_lines(self, [target._prepare_change_line(product, amount, number)])
        self._fix_change(lines, [amount])
        return lines

    def _share_amount(self, source, target, amount, number):
        """Add ``amount`` to ``target``, in the proportions of products and taxes of ``source``."""
        shares = source._get_change_shares(amount)
        reduction = target.state == "approved"
        lines = self.order_id._create_change_lines(
            self, [line._prepare_change_line(target, share, number, reduction) for line, share in shares]
        )
        self._fix_change(lines, [share for _line, share in shares])
        return lines

    def _fix_change(self, lines, amounts):
        for line, amount in zip(lines, amounts, strict=True):
            line._fix_change_amount(amount)

    def _move_amount(self, source, target, amount, number):
        """Take ``amount`` from ``source``, tax by tax, and give exactly that to ``target`` if there is one."""
        self._move_parts(source._get_moved_parts(amount), source, target, number)

    def _move_parts(self, parts, source, target, number):
        """Make the delta lines for ``parts``, a list of (order line, :class:`TaxedAmount`)."""
        reduction = source.state == "approved"
        for line, part in parts:
            values = line._prepare_change_line(source, -part.untaxed, number, reduction)
            taken = self.order_id._create_change_lines(self, [values])
            taken._fix_taxed_amount(part.negated())
            if target:
                given = self.order_id._create_change_lines(
                    self, [line._prepare_change_line(target, part.untaxed, number)]
                )
                given._fix_taxed_amount(part)
