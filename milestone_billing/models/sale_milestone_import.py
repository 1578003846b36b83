from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

SEPARATOR = ";"
TEMPLATES = "/milestone_billing/static/xls/"


class SaleMilestone(models.Model):
    """A milestone plan as a spreadsheet: Odoo's own import and export, in both directions."""

    _inherit = "sale.milestone"

    predecessor_names = fields.Char(
        string="After (Names)",
        compute="_compute_predecessor_names",
        inverse="_inverse_predecessor_names",
        help="Names of the milestones of the same order that come before, separated by semicolons.",
    )

    @api.depends("predecessor_ids.name")
    def _compute_predecessor_names(self):
        for milestone in self:
            names = milestone.predecessor_ids.sorted(lambda other: (other.sequence, other.id)).mapped("name")
            milestone.predecessor_names = f"{SEPARATOR} ".join(names)

    def _inverse_predecessor_names(self):
        """Find the named milestones in the order of each, those that are imported with it included."""
        names = {milestone: milestone.predecessor_names or "" for milestone in self}
        for milestone in self:
            predecessors = milestone._find_predecessors(names[milestone])
            if milestone.predecessor_ids != predecessors:
                milestone.predecessor_ids = predecessors

    def _find_predecessors(self, text):
        """Return the milestones of the order that ``text`` names.

        :raises UserError: naming what is not found, or found twice
        """
        self.ensure_one()
        others = self.order_id.milestone_ids - self
        whole = others.filtered(lambda other: other.name == text.strip())
        if len(whole) == 1:
            return whole  # a name may have a semicolon
        found = self.browse()
        for name in filter(None, (name.strip() for name in text.split(SEPARATOR))):
            named = others.filtered(lambda other, name=name: other.name.strip() == name)
            if len(named) != 1:
                raise UserError(self._get_predecessor_error(name, named))
            found |= named
        return found

    def _get_predecessor_error(self, name, named):
        if named:
            return self.env._(
                "%(milestone)s comes after “%(name)s”, and %(order)s has %(count)s milestones of that name. "
                "Give them different names.",
                milestone=self.name,
                name=name,
                order=self.order_id.name,
                count=len(named),
            )
        return self.env._(
            "%(milestone)s comes after “%(name)s”, and %(order)s has no such other milestone. "
            "Several names are separated by semicolons.",
            milestone=self.name,
            name=name,
            order=self.order_id.name,
        )

    @api.model
    def get_import_templates(self):
        """Offer a plan for one order where the order is known, and one with a column for it elsewhere."""
        if self.env.context.get("default_order_id"):
            return [
                {"label": self.env._("Milestone plan (Excel)"), "template": f"{TEMPLATES}milestone_plan.xlsx"},
                {"label": self.env._("Milestone plan (CSV)"), "template": f"{TEMPLATES}milestone_plan.csv"},
            ]
        return [
            {"label": self.env._("Milestone plans of several orders"), "template": f"{TEMPLATES}milestone_plans.xlsx"}
        ]

    def _load_records_write(self, values):
        """Write what differs: an agreed plan may stand in the file as it is."""
        values = {name: value for name, value in values.items() if name != "id"}
        if "deliverable_ids" in values:
            values["deliverable_ids"] = self._match_deliverables(values["deliverable_ids"])
        values = {name: value for name, value in values.items() if not self._is_imported_as_is(name, value)}
        if values:
            super()._load_records_write(values)

    def _is_imported_as_is(self, name, value):
        """Whether the milestone has this value of an import already."""
        self.ensure_one()
        field = self._fields[name]
        if field.type == "one2many":
            return not value
        if field.type == "many2many":
            commands = value or [Command.set([])]
            return all(code == Command.SET and set(ids) == set(self[name].ids) for code, _id, ids in commands)
        imported = field.convert_to_record(field.convert_to_cache(value, self), self)
        if field.type == "char":
            return (imported or "") == (self[name] or "")
        return imported == self[name]

    def _match_deliverables(self, commands):
        """Update deliverables of the same name instead of adding them again, and leave equal ones alone."""
        changes = []
        for code, number, vals in commands or ():
            if code == Command.LINK and number in self.deliverable_ids.ids:
                continue
            if code == Command.CREATE:
                same = self.deliverable_ids.filtered(lambda known, vals=vals: known.name == vals.get("name"))[:1]
                code, number = (Command.UPDATE, same.id) if same else (code, number)
            if code == Command.UPDATE:
                known = self.env["sale.milestone.deliverable"].browse(number)
                vals = {name: value for name, value in vals.items() if (known[name] or "") != (value or "")}
            if code != Command.UPDATE or vals:
                changes.append((code, number, vals))
        return changes


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def action_import_milestones(self):
        """Open Odoo's import for the plan of this quotation.

        :raises UserError: when the plan is agreed
        """
        self.ensure_one()
        self.check_access("write")
        if self.state in ("sale", "cancel"):
            raise UserError(
                self.env._("%(order)s is no quotation any more: its plan cannot be imported.", order=self.name)
            )
        return {
            "type": "ir.actions.client",
            "tag": "import",
            "name": self.env._("Import Milestones"),
            "params": {"active_model": "sale.milestone", "context": {"default_order_id": self.id}},
        }
