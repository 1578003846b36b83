from odoo import api, fields, models


class SaleChangeRequest(models.Model):
    """What a request does to the contract: sums, dates, terms, and the milestones before and after."""

    _inherit = "sale.change.request"

    impact_html = fields.Html(
        string="Impact",
        compute="_compute_impact_html",
        compute_sudo=True,
        sanitize=False,
        groups="sales_team.group_sale_salesman,account.group_account_invoice,account.group_account_readonly,"
        "project.group_project_manager,milestone_billing.group_internal_reviewer",
    )

    @api.depends("line_ids.amount", "line_ids.action", "line_ids.milestone_id", "line_ids.new_date")
    def _compute_deltas(self):
        for request in self:
            if request._is_out_of_sight():
                request.amount_delta = request.days_delta = 0
                continue
            request.update(request.sudo()._prepare_deltas())

    def _prepare_deltas(self):
        """Return the values of what the request does to the contract as it is now: untaxed amount, and days."""
        self.ensure_one()
        plan = self._get_plan_change()
        return {
            "amount_delta": self.currency_id.round(plan["after"] - plan["before"]),
            "days_delta": plan["days"],
        }

    def _refresh_deltas(self):
        """Have it computed anew what open requests do to the contract: another one changed it."""
        for name in ("amount_delta", "days_delta"):
            self.env.add_to_compute(self._fields[name], self)

    @api.depends(
        "line_ids.summary",
        "line_ids.amount",
        "line_ids.new_date",
        "line_ids.new_description",
        "line_ids.deliverable_ids.acceptance_criteria",
        "effort_hours",
        "resources",
        "state",
    )
    @api.depends_context("lang")
    def _compute_impact_html(self):
        for request in self:
            if request._is_out_of_sight():
                request.impact_html = False
                continue
            impact = request._get_impact()
            values = {
                "change_request": request,
                "impact": impact,
                "scope_changes": request._get_scope_changes(impact),
            }
            request.impact_html = self.env["ir.qweb"]._render(
                "milestone_billing.change_request_impact_internal", values
            )

    def _is_out_of_sight(self):
        """Whether a form says a contract that its user does not read, or none: then nothing is computed of it.

        What is saved is guarded by record rules, and by the portal, which reads as superuser.
        """
        self.ensure_one()
        order = self.order_id._origin
        return not self.id and not (order and order._is_contract_readable())

    def _get_visible_lines(self):
        """Return the lines in their order; in a form without those that tell of what its user does not read."""
        self.ensure_one()
        lines = self.line_ids.filtered(lambda line: not line._is_out_of_sight())
        return lines.sorted(lambda line: (line.sequence, line.id or 0))

    def _get_impact(self):
        """Return the impact to be shown: of a decided request what it was when it was decided.

        :return: see :meth:`_prepare_impact`
        """
        self.ensure_one()
        decided = self._get_decided_snapshot()
        return decided["impact"] if decided else self.sudo()._prepare_impact()

    def _prepare_impact(self):
        """Return what the request does to the contract as it is now, as JSON values.

        :return: dict of

            * ``original``, ``approved_changes``, ``this_change``, ``revised``: untaxed sums as exact texts;
              ``total``: this change with taxes, as of its presentation; ``taxes``: of that, by tax
            * ``end_before``, ``end_after`` (ISO dates, may be empty), ``days`` (calendar days)
            * ``effort`` (hours), ``resources``
            * ``rows``: per milestone a dict of ``id``, ``kind`` (``same``, ``changed``, ``added``, ``cancelled``),
              ``before`` and ``after``, each empty or a dict of ``name``, ``untaxed`` and ``contract_date``
            * ``lines``: per line of the request the sentences that say what it does
            * ``terms``: sentences about advance, retention and cap
        """
        self.ensure_one()
        order, plan = self.order_id, self._get_plan_change()
        original = order._get_original_contract()
        exact = f"{{:.{order.currency_id.decimal_places}f}}".format
        delta = order.currency_id.round(plan["after"] - plan["before"])
        return {
            **self._prepare_impact_taxes(),
            "original": exact(original),
            "approved_changes": exact(order.currency_id.round(plan["before"] - original)),
            "this_change": exact(delta),
            "revised": exact(order.currency_id.round(plan["after"])),
            "total": exact(self.total_delta),
            "end_before": fields.Date.to_string(plan["end_before"]) or "",
            "end_after": fields.Date.to_string(plan["end_after"]) or "",
            "days": plan["days"],
            "effort": self.effort_hours,
            "resources": self.resources or "",
            "rows": [
                {
                    "id": row["milestone"].id,
                    "kind": row["kind"],
                    "before": self._prepare_impact_side(row["before"], exact),
                    "after": self._prepare_impact_side(row["after"], exact),
                }
                for row in plan["rows"]
            ],
            "lines": [line._describe() for line in self._get_visible_lines()],
            "terms": order._get_change_effects(plan["before"], plan["after"], plan["open_after"]),
        }

    def _prepare_impact_taxes(self):
        """Return the taxes of the change by their ids, once they are known; rounds of before said nothing of them."""
        presented = self.presented_amounts
        if not presented:
            return {}
        return {"taxes": {key: amount for key, amount in presented.items() if key not in ("total", "untaxed")}}

    def _prepare_impact_side(self, side, exact):
        if not side:
            return {}
        return {
            "name": side["name"],
            "untaxed": exact(side["untaxed"]),
            "contract_date": fields.Date.to_string(side["date"]) or "",
        }

    def _get_plan_change(self):
        """Return the plan before and after the request, without applying it.

        :return: dict of ``rows`` (``milestone``, ``kind``, ``before``, ``after``), the sums ``before`` and
            ``after``, what is not approved afterwards (``open_after``), ``end_before``, ``end_after``, ``days``
        """
        self.ensure_one()
        milestones = self.order_id._get_live_milestones()
        rows = [
            {"milestone": milestone, "kind": "same", "before": milestone._get_plan_side(), "is_open": True}
            for milestone in milestones
        ]
        for row in rows:
            row["after"] = dict(row["before"])
            row["is_open"] = row["milestone"].state != "approved"
        for line in self._get_visible_lines():
            line._change_plan_rows(rows)
        for row in rows:
            if row["kind"] == "same" and row["before"] != row["after"]:
                row["kind"] = "changed"
        dates_before = [row["before"]["date"] for row in rows if row["before"] and row["before"]["date"]]
        dates_after = [row["after"]["date"] for row in rows if row["after"] and row["after"]["date"]]
        end_before, end_after = max(dates_before, default=None), max(dates_after, default=None)
        return {
            "rows": rows,
            "before": sum(row["before"]["untaxed"] for row in rows if row["before"]),
            "after": sum(row["after"]["untaxed"] for row in rows if row["after"]),
            "open_after": sum(row["after"]["untaxed"] for row in rows if row["after"] and row["is_open"]),
            "end_before": end_before,
            "end_after": end_after,
            "days": (end_after - end_before).days if end_before and end_after else 0,
        }

    # -- conflicts --------------------------------------------------------------------------------------------

    @api.depends("line_ids.milestone_id", "line_ids.target_id", "order_id.change_request_ids.state")
    def _compute_conflict(self):
        for request in self:
            is_open = request._is_open() and not request._is_out_of_sight()
            conflicts = request.sudo()._get_conflicts() if is_open else []
            request.base_conflict = is_open and bool(request.sudo()._get_base_conflicts())
            request.conflict = "\n".join(conflicts) or False

    def _get_conflicts(self):
        """Return what stands against the request: other open requests on its milestones, and what changed."""
        self.ensure_one()
        conflicts = self._get_base_conflicts()
        touched = self.line_ids._get_touched()
        for other in self.order_id.change_request_ids.filtered(
            lambda other: other != self._origin and other != self and other._is_open()
        ):
            common = touched & other.line_ids._get_touched()
            if common:
                conflicts.append(
                    self.env._(
                        "%(other)s also changes %(milestones)s: the one that is approved first wins, "
                        "the other one has to be looked at again.",
                        other=other.display_name,
                        milestones=", ".join(common.mapped("name")),
                    )
                )
        return conflicts

    def _get_base_conflicts(self):
        self.ensure_one()
        return [conflict for line in self._get_visible_lines() if (conflict := line._get_base_conflict())]

    def _get_problems(self):
        """Return why the request cannot be applied to the contract as it is; empty when it can."""
        self.ensure_one()
        request = self.sudo()
        if request.order_id.state != "sale":
            return [self.env._("%(order)s is not confirmed.", order=request.order_id.name)]
        if not request.line_ids:
            return [self.env._("It changes nothing yet: add what changes of which milestone.")]
        problems = [problem for line in request.line_ids if (problem := line._get_problem())]
        subjects = [line.milestone_id for line in request.line_ids]
        for milestone in request.line_ids.milestone_id:
            if subjects.count(milestone) > 1 or milestone in request.line_ids.target_id.filtered(
                lambda target, milestone=milestone: target in request.line_ids.milestone_id
            ):
                problems.append(
                    self.env._(
                        "%(milestone)s is changed by several lines: put it all into one.", milestone=milestone.name
                    )
                )
        return problems + request._get_base_conflicts()


class SaleChangeRequestLine(models.Model):
    _inherit = "sale.change.request.line"

    def _change_plan_rows(self, rows):
        """Do to the rows of a plan (see ``_get_plan_change``) what the line does to the contract.

        :return: the row to which ``amount`` goes, or None
        """
        self.ensure_one()
        by_milestone = {row["milestone"]: row for row in rows if row["milestone"]}
        own = by_milestone.get(self.milestone_id._origin)
        if self.action == "add":
            return self._insert_plan_row(rows, self.new_name or "", self.new_date)
        if not own or not own["after"]:
            return None
        if self.action == "change":
            return self._change_plan_row(rows, own)
        if self.action == "split":
            own["after"]["untaxed"] -= self.amount
            return self._insert_plan_row(rows, self.new_name or "", self.new_date or self.milestone_id.contract_date)
        target = by_milestone.get(self.target_id._origin)
        if self.action == "cancel":
            own.update(kind="cancelled", after={})
        elif target and target["after"]:
            target["after"]["untaxed"] += own["after"]["untaxed"]
            own.update(kind="cancelled", after={})
        return None

    def _change_plan_row(self, rows, own):
        if self._becomes_milestone():
            return self._insert_plan_row(rows, self._get_own_milestone_name(), self.new_date)
        own["after"].update(
            name=self.new_name or own["after"]["name"],
            untaxed=own["after"]["untaxed"] + self.amount,
            date=self.new_date or own["after"]["date"],
        )
        if self._changes_more_than_amount():
            own["kind"] = "changed"
        return own

    def _insert_plan_row(self, rows, name, date):
        row = {
            "milestone": self.env["sale.milestone"],
            "kind": "added",
            "before": {},
            "after": {"name": name, "untaxed": self.amount, "date": date or None},
            "is_open": True,
        }
        place = self.after_id if self.action == "add" else self.milestone_id
        positions = [number for number, other in enumerate(rows, 1) if place and other["milestone"] == place._origin]
        rows.insert(positions[0] if positions else len(rows), row)
        return row

    def _becomes_milestone(self):
        """Whether an increase concerns something that is approved already: it becomes a milestone of its own."""
        self.ensure_one()
        return (
            self.action == "change"
            and self.milestone_id.state == "approved"
            and self.currency_id.compare_amounts(self.amount, 0.0) > 0
        )

    def _get_own_milestone_name(self):
        self.ensure_one()
        return self.new_name or self.request_id._get_own_milestone_name(self.milestone_id.name)
