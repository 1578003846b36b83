from odoo import fields, models
from odoo.fields import Command


class SaleOrder(models.Model):
    """Who works on a contract, on both sides."""

    _inherit = "sale.order"

    milestone_contact_ids = fields.One2many(
        "sale.engagement.contact", "order_id", string="Team", groups="base.group_user"
    )

    def _complete_team(self):
        """Add those of the contract who are missing: salesperson, project manager, the client's contact, approvers."""
        for order in self.sudo():
            known = order.milestone_contact_ids.partner_id
            values = []
            for place, (partner, role, gets_updates) in enumerate(order._get_expected_team(), 1):
                if partner and partner not in known:
                    known |= partner
                    values.append(
                        {
                            "sequence": place * 10,
                            "partner_id": partner.id,
                            "role_id": self.env.ref(f"milestone_billing.project_role_{role}").id,
                            "receives_updates": gets_updates,
                        }
                    )
            order.milestone_contact_ids = [Command.create(vals) for vals in values]

    def _get_expected_team(self):
        """Return tuples of partner, role and whether the person gets status updates."""
        self.ensure_one()
        manager = self._get_delivery_manager()
        team = [(manager.partner_id, "manager", False)] if manager != self.user_id else []
        team += [(self.user_id.partner_id, "salesperson" if team else "manager", False)]
        team += [(self.partner_id, "client", True)]
        return team + [(partner, "approver", True) for partner in self.milestone_approver_ids]

    def _get_delivery_manager(self):
        """Return the user who leads the delivery: the project's manager, else the salesperson (may be empty)."""
        self.ensure_one()
        order = self.sudo()
        return (order.milestone_ids.project_id.user_id or order.project_id.user_id or order.user_id)[:1]

    def _get_team_action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Team of %(order)s", order=self.name),
            "res_model": "sale.engagement.contact",
            "view_mode": "list",
            "views": [(False, "list")],
            "domain": [("order_id", "=", self.id)],
            "context": {"default_order_id": self.id},
        }

    def _get_rhythm_sentence(self):
        """Return how often whom the status of the work is told, in the language of the environment."""
        self.ensure_one()
        order = self.sudo()
        if order.milestone_update_rhythm == "none":
            return self.env._("No regular status updates are agreed on.")
        rhythms = dict(self._fields["milestone_update_rhythm"]._description_selection(self.env))
        names = order.milestone_contact_ids.filtered("receives_updates").partner_id.mapped("name")
        return self.env._(
            "Status updates: %(rhythm)s, to %(names)s.",
            rhythm=rhythms[order.milestone_update_rhythm],
            names=", ".join(names) or "–",
        )
