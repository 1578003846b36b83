from urllib.parse import urljoin

from odoo import api, fields, models


class SaleEngagementContact(models.Model):
    """Somebody of the team that delivers a contract, on our side or on the client's.

    The team says whom to call for what. It gives no rights: who approves stands among the terms of the order.
    """

    _name = "sale.engagement.contact"
    _description = "Team Member"
    _order = "order_id, side, sequence, id"

    order_id = fields.Many2one("sale.order", required=True, index=True, ondelete="cascade")
    sequence = fields.Integer(default=10)
    partner_id = fields.Many2one("res.partner", string="Name", required=True, ondelete="restrict")
    role_id = fields.Many2one("project.role", required=True, ondelete="restrict")
    side = fields.Selection(
        [("ours", "Our Team"), ("theirs", "Client")],
        compute="_compute_side",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
    )
    email = fields.Char(related="partner_id.email")
    phone = fields.Char(related="partner_id.phone")
    receives_updates = fields.Boolean(string="Status Updates", help="Gets the status updates of the work.")
    company_id = fields.Many2one(related="order_id.company_id", store=True)

    _unique_role = models.UniqueIndex("(order_id, partner_id, role_id)", "Everybody has a role in a team once.")

    @api.depends("partner_id")
    def _compute_side(self):
        for contact in self:
            contact.side = "theirs" if contact.partner_id.partner_share else "ours"

    @api.depends("partner_id", "role_id")
    def _compute_display_name(self):
        for contact in self:
            contact.display_name = f"{contact.partner_id.name or ''} ({contact.role_id.name or ''})"

    def _is_client(self):
        """Whether this is a contact of the customer, and not a third party on the client's side."""
        self.ensure_one()
        contact = self.sudo()
        return contact.partner_id.commercial_partner_id == contact.order_id.partner_id.commercial_partner_id

    def _get_access_url(self):
        """Return the absolute address of the order in the portal, as a link of this person.

        Only contacts of the customer get the link that opens without login, and only when the superuser
        renders their mail: whoever previews it gets an address that asks for a login.
        """
        self.ensure_one()
        order = self.sudo().order_id
        is_personal = self.env.su and self._is_client()
        url = order._get_share_url(pid=self.partner_id.id) if is_personal else order.access_url
        return urljoin(order.get_base_url(), url)
