from odoo import api, fields, models

# Clients see requirements on the pages of their order, and only where the order says so.
INTERNAL = "base.group_user"


class SaleOrder(models.Model):
    """Requirements of an order: counted, copied, agreed on."""

    _inherit = "sale.order"

    requirement_ids = fields.One2many("sale.requirement", "order_id", string="Requirements", copy=True, groups=INTERNAL)
    requirement_count = fields.Integer(
        string="Requirements to Cover", compute="_compute_requirement_counts", compute_sudo=True, groups=INTERNAL
    )
    requirement_covered_count = fields.Integer(
        string="Covered Requirements", compute="_compute_requirement_counts", compute_sudo=True, groups=INTERNAL
    )
    requirement_warning = fields.Char(
        compute="_compute_requirement_counts", compute_sudo=True, groups=INTERNAL, export_string_translation=False
    )

    @api.depends("requirement_ids.is_covered", "requirement_ids.priority", "requirement_ids.name")
    def _compute_requirement_counts(self):
        for order in self:
            needed = order.requirement_ids.filtered(lambda requirement: requirement.priority != "wont")
            order.requirement_count = len(needed)
            order.requirement_covered_count = len(needed.filtered("is_covered"))
            uncovered = order._get_uncovered_musts()
            order.requirement_warning = bool(uncovered) and ", ".join(
                requirement.name or requirement.statement or "" for requirement in uncovered
            )

    def _get_uncovered_musts(self):
        """Return the requirements that must be met, and that no deliverable meets."""
        return self.requirement_ids.filtered(
            lambda requirement: requirement.priority == "must" and not requirement.is_covered
        )

    def _has_agreed_requirements(self):
        """Whether what is required is settled; what was approved stays so when the order is cancelled."""
        order = self.sudo()
        return order.state == "sale" or order.milestone_ids._is_agreed()

    def copy(self, default=None):
        """Copy the requirements and link them to the copied deliverables."""
        copies = super().copy(default)
        for order, new_order in zip(self, copies, strict=True):
            order._copy_requirement_links(new_order)
        return copies

    def _copy_requirement_links(self, new_order):
        # copies are created in the order of the ids of the originals
        requirements, copied = self.requirement_ids.sorted("id"), new_order.requirement_ids.sorted("id")
        deliverables = self._get_copied_deliverables(new_order)
        if not deliverables or len(requirements) != len(copied):
            return
        for requirement, copy in zip(requirements, copied, strict=True):
            if requirement.deliverable_ids:
                copy.deliverable_ids = copy.deliverable_ids.union(
                    *(deliverables[deliverable] for deliverable in requirement.deliverable_ids)
                )

    def _get_copied_deliverables(self, new_order):
        """Return {deliverable: its copy in the new order}, empty when the plan was not copied."""
        if not new_order.milestone_ids:
            return {}
        return {
            deliverable: copy
            for milestone, new_milestone in self._get_copied_milestones(new_order).items()
            for deliverable, copy in zip(
                milestone.deliverable_ids.sorted("id"), new_milestone.deliverable_ids.sorted("id"), strict=True
            )
        }

    def _prepare_proposal_values(self):
        """Requirements are part of what is proposed, whether they are shown or not."""
        values = super()._prepare_proposal_values()
        if self.requirement_ids:
            values["requirements"] = self.requirement_ids._prepare_agreed_values()
        return values

    def _prepare_contract_values(self):
        values = super()._prepare_contract_values()
        if self.requirement_ids:
            values["requirements"] = self.requirement_ids._prepare_agreed_values()
        return values

    def action_view_requirements(self):
        """Open the requirements of these orders."""
        action = self.env["ir.actions.act_window"]._for_xml_id("milestone_billing.sale_requirement_action")
        action["domain"] = [("order_id", "in", self.ids)]
        action["context"] = {"default_order_id": self.id} if len(self) == 1 else {}
        if any(order._has_agreed_requirements() for order in self):
            action["context"]["create"] = False
        return action
