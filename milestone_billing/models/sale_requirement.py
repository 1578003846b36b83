import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..tools.placing import place_last

KINDS = [
    ("functional", "Functional"),
    ("quality", "Quality (Non-functional)"),
    ("interface", "Interface"),
    ("constraint", "Constraint"),
    ("organisational", "Organisational"),
    ("other", "Other"),
]
PRIORITIES = [("must", "Must"), ("should", "Should"), ("could", "Could"), ("wont", "Won't")]
STATES = [
    ("uncovered", "Uncovered"),
    ("covered", "Covered"),
    ("fulfilled", "Fulfilled"),
    ("excluded", "Not Included"),
]
# What the client agrees to; where it came from, and its place in the list, are remarks.
AGREED_FIELDS = frozenset(
    {"name", "statement", "kind", "priority", "acceptance_criteria", "attachment_ids", "order_id"}
)


class SaleRequirement(models.Model):
    """What the client needs, and which deliverables meet it.

    It is part of what is agreed: the confirmation of the order freezes it. Which deliverables meet
    it may be refined until their milestone is presented.
    """

    _name = "sale.requirement"
    _description = "Requirement"
    _inherit = ["sale.milestone.protected.mixin", "sale.milestone.files.mixin"]
    _order = "order_id, sequence, id"
    _check_company_auto = True

    _protected_fields = frozenset({"state", "is_covered", "company_id", "partner_id", "order_state"})

    order_id = fields.Many2one("sale.order", required=True, index=True, ondelete="cascade")
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Reference", help="R1, R2, … by itself, or as your client calls it.")
    statement = fields.Text(required=True, help="What is needed, in one sentence.")
    kind = fields.Selection(KINDS, default="functional", required=True)
    priority = fields.Selection(PRIORITIES, default="must", required=True)
    acceptance_criteria = fields.Text(help="How everybody can tell that it is met.")
    source = fields.Char(help="Where it comes from: a workshop, a document, a law.")
    contact_id = fields.Many2one("res.partner", check_company=True, help="Who asked for it, and can be asked about it.")
    attachment_ids = fields.Many2many("ir.attachment", string="Files", copy=False, bypass_search_access=True)
    deliverable_ids = fields.Many2many(
        "sale.milestone.deliverable",
        "sale_requirement_deliverable_rel",
        "requirement_id",
        "deliverable_id",
        string="Met By",
        copy=False,
        domain="[('order_id', '=', order_id)]",
        help="Deliverables of the same order that meet the requirement.",
    )
    is_covered = fields.Boolean(
        string="Covered",
        compute="_compute_is_covered",
        store=True,
        help="A deliverable of a milestone that is not cancelled meets it.",
    )
    state = fields.Selection(STATES, string="Status", compute="_compute_state", store=True, index=True)
    is_open = fields.Boolean(compute="_compute_is_open")

    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True, precompute=True)
    partner_id = fields.Many2one(
        related="order_id.partner_id", string="Customer", store=True, index=True, precompute=True
    )
    order_state = fields.Selection(related="order_id.state", string="Order Status", store=True)

    _name_unique = models.UniqueIndex("(order_id, name)", "An order has each reference of a requirement only once.")

    @api.depends("deliverable_ids.milestone_id.state")
    def _compute_is_covered(self):
        for requirement in self:
            requirement.is_covered = any(
                milestone.state != "cancelled" for milestone in requirement.deliverable_ids.milestone_id
            )

    @api.depends("is_covered", "priority", "deliverable_ids.state")
    def _compute_state(self):
        for requirement in self:
            if not requirement.is_covered:
                requirement.state = "excluded" if requirement.priority == "wont" else "uncovered"
            elif all(deliverable.state == "accepted" for deliverable in requirement.deliverable_ids):
                requirement.state = "fulfilled"
            else:
                requirement.state = "covered"

    @api.depends("order_id.state", "order_id.milestone_ids.state")
    def _compute_is_open(self):
        for requirement in self:
            requirement.is_open = not requirement.order_id._has_agreed_requirements()

    @api.depends("name", "statement")
    @api.depends_context("requirement_with_statement")
    def _compute_display_name(self):
        for requirement in self:
            if self.env.context.get("requirement_with_statement"):
                requirement.display_name = f"{requirement.name or ''} {requirement.statement or ''}".strip()
            else:
                requirement.display_name = requirement.name

    @api.constrains("deliverable_ids", "order_id")
    def _check_same_order(self):
        for requirement in self:
            strangers = requirement.deliverable_ids.filtered(
                lambda deliverable, order=requirement.order_id: deliverable.order_id != order
            )
            if strangers:
                raise ValidationError(
                    self.env._(
                        "%(requirement)s can only be met by deliverables of its own order: %(names)s is not one.",
                        requirement=requirement.name or requirement.statement,
                        names=", ".join(strangers.mapped("name")),
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        self._check_references(vals_list)
        requirements = super().create(place_last(self, vals_list))
        requirements.order_id._touch()  # an order that is agreed at the same moment is seen to be
        requirements._check_open()
        requirements._number()
        requirements._check_links({})
        requirements._own_attachments()
        requirements.order_id._check_signature_at_commit()
        return requirements

    def _check_references(self, vals_list):
        """Name what would be there twice, which the database only refuses.

        :raises ValidationError: for a reference that the order has already
        """
        default = self.env.context.get("default_order_id")
        wanted = [(values.get("order_id", default), values["name"]) for values in vals_list if values.get("name")]
        orders, names = {order for order, _name in wanted}, {name for _order, name in wanted}
        there = self.search([("order_id", "in", orders), ("name", "in", names)]) if wanted else self
        taken = {(requirement.order_id.id, requirement.name) for requirement in there}
        for order, name in wanted:
            if (order, name) in taken:
                raise ValidationError(
                    self.env._(
                        "%(order)s has a requirement %(reference)s already. Choose another reference, or leave it "
                        "empty to get the next one.",
                        order=self.env["sale.order"].browse(order).name,
                        reference=name,
                    )
                )
            taken.add((order, name))

    def write(self, vals):
        if AGREED_FIELDS.intersection(vals):
            self._check_open()
        if "order_id" in vals and any(requirement.order_id.id != vals["order_id"] for requirement in self):
            raise UserError(self.env._("A requirement stays with its order. Write it down on the other order, too."))
        files = self.attachment_ids
        links = {requirement: requirement.deliverable_ids for requirement in self}
        result = super().write(vals)
        self.order_id._check_signature_at_commit()
        if "name" in vals:
            self._number()
        if "deliverable_ids" in vals:
            self._check_links(links)
        if "attachment_ids" in vals:
            self._own_attachments(files)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_agreed(self):
        self._check_open()
        self.order_id._check_signature_at_commit()

    def copy(self, default=None):
        """Copy with a reference of its own: within an order each is there once."""
        return super().copy({"name": False, **(default or {})})

    def _number(self):
        """Give those without a reference the next one of their order: R1, R2, …"""
        for requirement in self.filtered(lambda requirement: not requirement.name):
            names = requirement.order_id.requirement_ids.mapped("name")
            numbers = [int(name[1:]) for name in names if name and re.fullmatch(r"R\d{1,9}", name)]
            requirement.name = f"R{max(numbers, default=0) + 1}"

    def _check_open(self):
        """:raises UserError: for requirements that are agreed with the client"""
        for requirement in self:
            if not requirement.is_open:
                raise UserError(
                    self.env._(
                        "%(requirement)s of %(order)s is agreed with the client and stays as it was signed. "
                        "What is to be delivered changes by a change request, see its deliverables.",
                        requirement=requirement.name or requirement.statement,
                        order=requirement.order_id.name,
                    )
                )

    def _check_links(self, before):
        """Let the scope of milestones under review rest: what meets which requirement is part of it.

        :param dict before: deliverables that were linked, by requirement
        :raises UserError: when a link to a deliverable of such a milestone came or went
        """
        for requirement in self:
            known, linked = before.get(requirement, self.deliverable_ids.browse()), requirement.deliverable_ids
            ((known - linked) | (linked - known)).milestone_id._check_scope_free()

    def _prepare_agreed_values(self):
        """Return what is agreed with the client, as JSON values."""
        return [
            {
                "id": requirement.id,
                "name": requirement.name,
                "statement": requirement.statement,
                "kind": requirement.kind,
                "priority": requirement.priority,
                "acceptance_criteria": requirement.acceptance_criteria or "",
                "files": [
                    {"id": file.id, "name": file.name, "checksum": file.checksum or "", "size": file.file_size}
                    for file in requirement.sudo().attachment_ids.sorted("id")
                ],
            }
            for requirement in self.sorted("id")
        ]
