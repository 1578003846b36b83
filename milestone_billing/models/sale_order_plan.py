from datetime import datetime, time, timedelta
from functools import cache

from pytz import timezone

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools.date_utils import get_month

from ..tools import milestone_schedule
from .sale_milestone_template_deliverable import prepare_deliverable_commands


class SaleOrder(models.Model):
    """Making, re-doing and undoing the milestone plan of a quotation as a whole."""

    _inherit = "sale.order"

    milestone_template_id = fields.Many2one(
        "sale.milestone.template",
        check_company=True,
        copy=False,
        index="btree_not_null",
        groups="sales_team.group_sale_salesman",
        help="The plan of a quotation without milestones is made from this template when it is saved.",
    )

    @api.onchange("sale_order_template_id")
    def _onchange_sale_order_template_id(self):
        """Another quotation template replaces the order lines, and so the plan that a template made of them."""
        has_lines = bool(self.order_line)
        result = super()._onchange_sale_order_template_id()
        # without a quotation template the lines stay, and so does their plan
        by_template = self.milestone_template_id or self._origin.milestone_template_id
        if not self.milestone_ids or (by_template and self.sale_order_template_id):
            self.milestone_template_id = self.sale_order_template_id.milestone_template_id
        is_replaced = has_lines and self.sale_order_template_id
        if not result and is_replaced and self.milestone_ids and not self.milestone_template_id:
            message = self.env._(
                "The template replaces the order lines: the milestones have no amounts any more. Plan them anew, or "
                "discard the change."
            )
            return {"warning": {"title": self.env._("Milestones without Amounts"), "message": message}}
        return result

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        chosen = [order.id for order, vals in zip(orders, vals_list, strict=True) if vals.get("milestone_template_id")]
        orders.browse(chosen)._plan_from_chosen_template()
        return orders

    def write(self, vals):
        if not self._is_template_chosen(vals):
            return super().write(vals)
        planned = self.filtered("milestone_template_id")
        result = super().write(vals)
        # the plan of a template, whose lines were replaced with the quotation template
        stale = planned.filtered(lambda order: not order.milestone_ids.order_line_ids)
        self.filtered("milestone_template_id")._plan_from_chosen_template(stale)
        return result

    def _is_template_chosen(self, vals):
        """Whether ``vals`` have a template for the quotation or its plan, and the user may know of plans."""
        is_chosen = vals.get("milestone_template_id") or vals.get("sale_order_template_id")
        return is_chosen and self._has_field_access(self._fields["milestone_template_id"], "read")

    def _plan_from_chosen_template(self, stale=()):
        """Plan quotations that have no plan yet; saving never fails for a template that does not fit.

        :param stale: orders whose plan gives way to the new one
        """
        for order in self:
            template = order.milestone_template_id
            has_plan = order.milestone_ids and order not in stale
            if has_plan or order._get_plan_refusal() or not order._get_divisible_lines():
                continue
            try:
                with self.env.cr.savepoint():
                    order._apply_milestone_template(template)
            except UserError as error:
                order.message_post(
                    body=self.env._(
                        "The milestones of %(template)s were not planned: %(reason)s",
                        template=template.name,
                        reason=str(error),
                    )
                )

    def _apply_milestone_template(self, template, start=None):
        """Divide the price of a quotation by a template.

        :param date start: what delays after the order are counted from; today by default
        :raises UserError: when the quotation cannot be planned, or the template does not fit
        """
        self.ensure_one()
        lines = self._get_divisible_lines()
        total = self._from_units(sum(lines._get_split_untaxed(self._get_rounded_base_lines())))
        rows, split_by = template._prepare_plan_rows(self, start or fields.Date.context_today(self), total)
        return self._apply_milestone_plan(rows, split_by, lines=lines)

    # -- the plan wizard -------------------------------------------------------------------------------

    def action_plan_milestones(self):
        """Open the plan wizard: from a template, by a regular schedule, or by hand; or re-do the present plan.

        :raises AccessError: when the user may not write the order
        :raises UserError: when the order is no quotation any more, or its plan is agreed
        """
        self.ensure_one()
        self._check_can_plan()
        planner = self.env["sale.milestone.planner"]._open(self)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Plan Milestones"),
            "res_model": planner._name,
            "res_id": planner.id,
            "views": [(False, "form")],
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    def _check_can_plan(self):
        """:raises AccessError, UserError: when the user, or the state of the order, does not allow a new plan"""
        self.check_access("write")
        for order in self:
            if reason := order._get_plan_refusal():
                raise UserError(reason)
            order.milestone_ids._check_plan_open()

    def _get_plan_refusal(self):
        """Return why the order cannot be planned in its state, or False."""
        self.ensure_one()
        if self.state == "cancel":
            return self.env._(
                "%(order)s is cancelled. Set it to quotation to plan its milestones again.", order=self.name
            )
        if self.state not in ("draft", "sent"):
            return self.env._(
                "%(order)s is confirmed: its milestone plan is agreed with the client. "
                "Raise a change request: it is applied when both sides approve it.",
                order=self.name,
            )
        return False

    def _apply_milestone_plan(self, rows, split_by="percentage", lines=None, whole=None):
        """Make the plan of a quotation, or re-do it: milestones that stay keep their records.

        :param list rows: in the order of the plan, dicts with ``name`` and ``contract_date``; ``percentage``
            (0–100) or ``amount`` (untaxed, currency of the order) of the divided lines, 0 where a milestone has
            whole lines only; ``milestone``, the one that stays (optional); ``template_line``, where a new
            one takes scope, deliverables and predecessors from (optional)
        :param str split_by: ``percentage`` or ``amount``
        :param lines: order lines to divide; the lines of the present plan as they were before it
        :param dict whole: number of a row (from 0) by order line that belongs to it undivided
        :return: the milestones, in the order of the rows
        :raises AccessError, UserError: when the plan is not allowed, or does not add up
        """
        self.ensure_one()
        self._check_can_plan()
        if not rows:
            raise UserError(self.env._("A plan has at least one milestone. Add one, or discard."))
        lines = self._get_divisible_lines() if lines is None else lines
        stay = self.env["sale.milestone"].union(*(row["milestone"] for row in rows if row.get("milestone")))
        self._clear_milestone_plan(keep=stay)
        milestones = self._write_plan_rows(rows)
        whole = {line: milestones[number] for line, number in self._get_whole_lines(whole or {}).items()}
        shares = {
            milestone: row[split_by] for milestone, row in zip(milestones, rows, strict=True) if row.get(split_by)
        }
        # the division keeps the totals of the order, and so relies on them
        self._recompute_recordset(["amount_untaxed", "amount_tax", "amount_total"])
        if lines:
            divided = self.env["sale.milestone"].union(*shares)
            weights = {f"{split_by}s": list(shares.values())}
            self._split_into_milestones(**weights, milestones=divided, lines=lines, whole=whole)
        else:
            for line, milestone in whole.items():
                line.billing_milestone_id = milestone
            if split_by == "amount":
                # nothing to divide: these milestones make their order lines
                for milestone, amount in shares.items():
                    milestone.amount_untaxed = amount
        milestones._forget_shift()  # the plan says all dates
        # whoever reads the milestones next reads them in the order of the plan
        self.invalidate_recordset(["milestone_ids"])
        return milestones

    def _get_whole_lines(self, whole):
        """Return ``whole``, in the order of the quotation, with the items of combos where their combo goes."""
        return {
            line: whole[combo]
            for line in self.order_line.sorted()
            if (combo := line.linked_line_id if line.combo_item_id else line) in whole
        }

    def _write_plan_rows(self, rows):
        """Create the milestones of a plan, or bring those that stay in line with it."""
        milestones = dict(enumerate(row.get("milestone") for row in rows))
        added = [number for number, milestone in milestones.items() if not milestone]
        created = self.env["sale.milestone"].create(
            [self._prepare_plan_milestone_values(number, rows[number]) for number in added]
        )
        for number, milestone in milestones.items():
            if milestone:
                values = self._prepare_plan_row_values(number, rows[number])
                values = {name: value for name, value in values.items() if milestone[name] != (value or False)}
                if values:
                    milestone.write(values)
        milestones.update(zip(added, created, strict=True))
        by_template = {
            rows[number]["template_line"]: milestones[number] for number in added if rows[number].get("template_line")
        }
        for template_line, milestone in by_template.items():
            if template_line.predecessor_ids:
                milestone.predecessor_ids = [
                    Command.set([by_template[line].id for line in template_line.predecessor_ids if line in by_template])
                ]
        return self.env["sale.milestone"].union(*milestones.values())

    def _prepare_plan_row_values(self, number, row):
        return {
            "name": row["name"],
            "contract_date": row["contract_date"],
            "sequence": number + 1,
            "split_percentage": row.get("percentage") or 0.0,
        }

    def _prepare_plan_milestone_values(self, number, row):
        values = {}
        if template_line := row.get("template_line"):
            # the client reads them
            values = template_line.with_context(lang=self.partner_id.lang)._prepare_milestone_values()
        return {"order_id": self.id, **values, **self._prepare_plan_row_values(number, row)}

    def _clear_milestone_plan(self, keep=None):
        """Put the quotation back as it was before the plan: no line is lost, and no milestone but ``keep`` stays.

        :raises UserError: when a milestone cannot be removed
        """
        self.ensure_one()
        keep = keep or self.env["sale.milestone"]
        self._undo_milestone_split(remove_milestones=False)
        lines = self.order_line.filtered(lambda line: line.billing_milestone_id and not line.display_type)
        lines.billing_milestone_id = False
        (self.milestone_ids - keep).unlink()

    # -- what is planned -------------------------------------------------------------------------------

    def _move_to_working_days(self, dates, first=None, last=None):
        """Return the dates, those on days off of the company's calendar moved to the next working day.

        :param date first, last: see ``move_to_working_day``
        :raises UserError: when there is no next working day in the calendar any more
        """
        # dates may be centuries apart: what lies between them is not looked at
        get_days_off = cache(self.company_id._get_days_off)

        def is_day_off(day):
            return day in get_days_off(*get_month(day))

        try:
            return [day and milestone_schedule.move_to_working_day(day, is_day_off, first, last) for day in dates]
        except milestone_schedule.DateTooFar as error:
            raise UserError(self._get_too_far_text()) from error

    @api.model
    def _get_too_far_text(self):
        return self.env._(
            "The plan would have dates after the year 9999: choose shorter delays or intervals, or fewer milestones."
        )

    def action_save_milestone_template(self):
        """Make a milestone template of the plan and open it; amounts become shares of the plan.

        :raises AccessError: for users who may not create templates
        """
        self.ensure_one()
        self.check_access("read")
        template = self.env["sale.milestone.template"].create(self._prepare_milestone_template_values())
        lines = dict(zip(self._get_plan_milestones(), template.line_ids.sorted("id"), strict=True))
        for milestone, line in lines.items():
            line.predecessor_ids = [
                Command.set([lines[other].id for other in milestone.predecessor_ids if other in lines])
            ]
        return {
            "type": "ir.actions.act_window",
            "res_model": template._name,
            "res_id": template.id,
            "views": [(False, "form")],
        }

    def _prepare_milestone_template_values(self):
        milestones = self._get_plan_milestones()
        if not milestones or any(
            self.currency_id.compare_amounts(milestone.amount_untaxed, 0.0) <= 0 for milestone in milestones
        ):
            raise UserError(
                self.env._(
                    "A template is made of milestones that all have an amount: complete the plan of %(order)s first.",
                    order=self.name,
                )
            )
        percentages = milestone_schedule.get_percentages(milestones.mapped("amount_untaxed"))
        start = previous = (self.date_order or fields.Datetime.now()).date()
        delays = []
        for milestone in milestones:
            day = milestone.contract_date
            if day and day >= start:
                reference, since = ("previous", previous) if day >= previous else ("order", start)
                number, unit = milestone_schedule.describe_delay(since, day)
                delays.append({"delay_number": number, "delay_unit": unit, "delay_from": reference})
                previous = day
            else:
                delays.append({"delay_from": "none"})
        if delays[0]["delay_from"] == "previous":
            delays[0]["delay_from"] = "order"
        return {
            "name": self.env._("Plan of %(order)s", order=self.name),
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
            "skip_days_off": False,
            "line_ids": [
                Command.create(
                    {
                        **milestone._prepare_template_line_values(),
                        **delay,
                        "sequence": number,
                        "percentage": float(percentage),
                    }
                )
                for number, (milestone, percentage, delay) in enumerate(
                    zip(milestones, percentages, delays, strict=True), 1
                )
            ],
        }


class SaleMilestone(models.Model):
    _inherit = "sale.milestone"

    split_percentage = fields.Float(
        string="Share of the Divided Lines (%)",
        readonly=True,
        groups="sales_team.group_sale_salesman",
        help="What the plan was made with, 0 to 100; the amounts follow from it.",
    )

    def _prepare_template_line_values(self):
        """Return what a template takes over from a milestone, beside its share and date."""
        self.ensure_one()
        return {
            "name": self.name,
            "description": self.description,
            "deliverable_ids": prepare_deliverable_commands(self.deliverable_ids),
        }


class ResCompany(models.Model):
    _inherit = "res.company"

    def _get_days_off(self, first, last):
        """Return the days without working time from ``first`` to ``last``, as a set of dates.

        They are those of the company's calendar, public holidays included; without a calendar, weekends.
        """
        self.ensure_one()
        last = min(last, milestone_schedule.LAST_DAY)
        calendar = self.sudo().resource_calendar_id
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        if not calendar:
            return {day for day in days if day.weekday() > 4}
        zone = timezone(calendar.tz or "UTC")
        unusual = calendar._get_unusual_days(
            zone.localize(datetime.combine(first, time.min)), zone.localize(datetime.combine(last, time.max)), self
        )
        return {day for day in days if unusual.get(fields.Date.to_string(day))}
