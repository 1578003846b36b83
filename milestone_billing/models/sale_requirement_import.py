from odoo import api, fields, models
from odoo.exceptions import UserError

from .sale_milestone_import import SEPARATOR, TEMPLATES


class SaleRequirement(models.Model):
    """Requirements as a spreadsheet: Odoo's own import and export, in both directions."""

    _inherit = "sale.requirement"

    deliverable_names = fields.Char(
        string="Met By (Names)",
        compute="_compute_deliverable_names",
        compute_sudo=True,  # reviewers may not read orders
        inverse="_inverse_deliverable_names",
        help="Names of deliverables of the same order, separated by semicolons. "
        "Where a name is there twice: Milestone / Deliverable.",
    )

    @api.depends("deliverable_ids.name", "deliverable_ids.milestone_id.name")
    def _compute_deliverable_names(self):
        for requirement in self:
            known = requirement.order_id.milestone_ids.deliverable_ids.grouped("name")
            requirement.deliverable_names = f"{SEPARATOR} ".join(
                deliverable.name if len(known.get(deliverable.name, ())) == 1 else deliverable._get_full_name()
                for deliverable in requirement.deliverable_ids.sorted()
            )

    def _inverse_deliverable_names(self):
        names = {requirement: requirement.deliverable_names or "" for requirement in self}
        for requirement in self:
            deliverables = requirement._find_deliverables(names[requirement])
            if requirement.deliverable_ids != deliverables:
                requirement.deliverable_ids = deliverables

    def _find_deliverables(self, text):
        """Return the deliverables of the order that ``text`` names.

        :raises UserError: naming what is not found, or found twice
        """
        self.ensure_one()
        known = self.order_id.milestone_ids.deliverable_ids
        if len(whole := known._get_named(text.strip())) == 1:
            return whole  # a name may have a semicolon
        found = known.browse()
        for name in filter(None, (name.strip() for name in text.split(SEPARATOR))):
            named = known._get_named(name)
            if len(named) != 1:
                raise UserError(self._get_deliverable_error(name, named))
            found |= named
        return found

    def _get_deliverable_error(self, name, named):
        if named:
            return self.env._(
                "“%(name)s” names %(count)s deliverables of %(order)s. Write Milestone / Deliverable instead.",
                name=name,
                count=len(named),
                order=self.order_id.name,
            )
        return self.env._(
            "%(order)s has no deliverable “%(name)s”. Several names are separated by semicolons.",
            order=self.order_id.name,
            name=name,
        )

    @api.model
    def get_import_templates(self):
        """Offer the columns for one order where the order is known, and with a column for it elsewhere."""
        if self.env.context.get("default_order_id"):
            return [
                {"label": self.env._("Requirements (Excel)"), "template": f"{TEMPLATES}requirements.xlsx"},
                {"label": self.env._("Requirements (CSV)"), "template": f"{TEMPLATES}requirements.csv"},
            ]
        return [
            {"label": self.env._("Requirements of several orders"), "template": f"{TEMPLATES}requirements_orders.xlsx"}
        ]

    def _load_records_write(self, values):
        """Write what differs: agreed requirements may stand in the file as they are."""
        values = {name: value for name, value in values.items() if name != "id"}
        current = self._convert_to_write({name: self[name] for name in values})
        values = {name: value for name, value in values.items() if (current[name] or False) != (value or False)}
        if values:
            super()._load_records_write(values)


class SaleMilestoneDeliverable(models.Model):
    _inherit = "sale.milestone.deliverable"

    def _get_full_name(self):
        self.ensure_one()
        return f"{self.milestone_id.name} / {self.name}"

    def _get_named(self, name):
        """Return those of this name; it may be said with the milestone's."""
        return self.filtered(lambda deliverable: name in (deliverable.name.strip(), deliverable._get_full_name()))


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def action_import_requirements(self):
        """Open Odoo's import for the requirements of this quotation.

        :raises UserError: when they are agreed
        """
        self.ensure_one()
        self.check_access("write")
        if self.state == "cancel" or self._has_agreed_requirements():
            raise UserError(
                self.env._("%(order)s is no quotation any more: its requirements cannot be imported.", order=self.name)
            )
        return {
            "type": "ir.actions.client",
            "tag": "import",
            "name": self.env._("Import Requirements"),
            "params": {"active_model": "sale.requirement", "context": {"default_order_id": self.id}},
        }
