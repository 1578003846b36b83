from odoo import fields, models
from odoo.fields import Command

from ..tools.attempt import attempt

PLANNING = "milestone_billing.mail_activity_planning"


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
        team = [(partner, role, False) for partner, role in self._get_expected_leaders()]
        team += [(self.partner_id, "client", True)]
        return team + [(partner, "approver", True) for partner in self.milestone_approver_ids]

    def _get_expected_leaders(self):
        """Return pairs of partner and role: who manages the project, if anybody does, and the salesperson."""
        self.ensure_one()
        manager, salesperson = self._get_named_manager().partner_id, self.user_id.partner_id
        if manager == salesperson:
            return [(manager, "manager")] if manager else []
        return [(partner, role) for partner, role in ((manager, "manager"), (salesperson, "salesperson")) if partner]

    def _get_named_manager(self):
        """Return the user who was named as manager of the project (may be empty)."""
        self.ensure_one()
        order = self.sudo()
        return (order.milestone_ids.project_id.user_id or order.project_id.user_id)[:1]

    def _get_delivery_manager(self):
        """Return the user who leads the delivery: the project's manager, else the salesperson (may be empty)."""
        self.ensure_one()
        return self._get_named_manager() or self.sudo().user_id

    def _has_leader(self):
        """Whether the team names somebody as project manager."""
        self.ensure_one()
        role = self.env.ref("milestone_billing.project_role_manager", raise_if_not_found=False)
        return bool(self.sudo().milestone_contact_ids.filtered(lambda contact: contact.role_id == role))

    # -- another manager --------------------------------------------------------------------------------

    def _follow_manager(self, leaders, user):
        """Let team, planning and kickoff follow the project to its new manager.

        :param leaders: what ``_get_expected_leaders`` returned before
        :param user: who led the delivery before
        """
        self.ensure_one()
        order = self.sudo()
        for step in (
            lambda: order._exchange_leaders(leaders),
            lambda: order._hand_over_planning(user),
            order._invite_manager,
        ):
            if error := attempt(self.env, step):
                order._note_kickoff_failure(error)

    def _exchange_leaders(self, before):
        """Replace the lines of those who led ``before``; a manager whom somebody named by hand stays."""
        self.ensure_one()
        after, lines = self._get_expected_leaders(), self._get_leader_lines()
        gone = {pair: lines.pop(pair) for pair in before if pair not in after and pair in lines}
        left = {partner for partner, _role in gone}
        managed = [any(role == "manager" for _partner, role in pairs) for pairs in (lines, gone)]
        if managed == [True, False]:
            return
        for partner, role in after:
            if (partner, role) in before or (partner, role) in lines or (role == "salesperson" and partner not in left):
                continue
            same_role = next((pair for pair in gone if pair[1] == role), None)
            key = same_role or next((pair for pair in gone if pair[0] == partner), None)
            self._put_leader(gone.pop(key, None), partner, role)
        for contact in gone.values():
            contact.unlink()

    def _get_leader_lines(self):
        """Return the lines of project managers and salespeople, by partner and role."""
        self.ensure_one()
        roles = {self.env.ref(f"milestone_billing.project_role_{role}"): role for role in ("manager", "salesperson")}
        leaders = self.milestone_contact_ids.filtered(lambda contact: contact.role_id in roles)
        return {(contact.partner_id, roles[contact.role_id]): contact for contact in leaders}

    def _put_leader(self, contact, partner, role):
        values = {"partner_id": partner.id, "role_id": self.env.ref(f"milestone_billing.project_role_{role}").id}
        if contact:
            contact.write(values)
        else:
            self.milestone_contact_ids = [Command.create({**values, "sequence": 10 if role == "manager" else 20})]

    def _hand_over_planning(self, user):
        """Give the open activity to complete the planning to who leads the delivery now, where they can read it.

        :param user: whose activity it is; one that somebody else was given by hand stays theirs
        """
        self.ensure_one()
        successor = self._get_delivery_manager()
        if not user or user == successor or not successor.active:
            return
        documents = [self.milestone_ids.project_id, self, self.milestone_ids]
        found = [document.activity_search([PLANNING], user_id=user.id) for document in documents if document]
        activities = self.env["mail.activity"].union(*found)
        if activities:
            deadline = min(activities.mapped("date_deadline"))
            activities.unlink()
            self._ask_for_planning(date_deadline=deadline)

    def _invite_manager(self):
        """Who leads the delivery now comes to the kickoff; whoever led it before stays invited.

        To be called as superuser: who may name the manager was checked when the project was written.
        """
        self.ensure_one()
        partner, kickoff = self._get_named_manager().partner_id, self._get_kickoff()
        if partner and partner not in kickoff.partner_ids and kickoff.start and kickoff.start > fields.Datetime.now():
            kickoff.with_context(mail_notify_force_send=False).partner_ids = [Command.link(partner.id)]
            self.env.ref("mail.ir_cron_mail_scheduler_action")._trigger()

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


class ProjectProject(models.Model):
    _inherit = "project.project"

    def write(self, vals):
        if "user_id" not in vals:
            return super().write(vals)
        orders = self._get_led_orders()
        before = {order: (order._get_expected_leaders(), order._get_delivery_manager()) for order in orders}
        result = super().write(vals)
        for order, (leaders, user) in before.items():
            order._follow_manager(leaders, user)
        return result

    def _get_led_orders(self):
        """Return the contracts that are under way in these projects."""
        return (
            self.env["sale.order"]
            .sudo()
            .search(
                [
                    ("state", "=", "sale"),
                    ("milestone_ids", "!=", False),
                    "|",
                    ("project_id", "in", self.ids),
                    ("milestone_ids.project_id", "in", self.ids),
                ]
            )
        )
