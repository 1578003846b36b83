import base64
import io
import re
from urllib.parse import urlencode, urlsplit

from PIL import Image, ImageDraw

from odoo.fields import Command
from odoo.tests import HttpCase

from .common import MilestoneCommon


def draw_signature(image_format="PNG", size=(240, 80), line=True):
    """Return the base64 text of a picture, as a browser sends it."""
    picture = Image.new("RGB", size, "white")
    if line:
        ImageDraw.Draw(picture).line([(10, 60), (80, 15), (150, 65), (230, 30)], fill="black", width=4)
    buffer = io.BytesIO()
    picture.save(buffer, image_format)
    return base64.b64encode(buffer.getvalue()).decode()


class PortalCommon(MilestoneCommon, HttpCase):
    """A submitted milestone, two approvers with personal links, and the portal users of the client."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second_approver = cls.env["res.partner"].create(
            {"name": "Second", "parent_id": cls.client_company.id, "email": "second@client.example.com"}
        )
        cls.portal_users = {
            partner: cls._create_portal_user(partner) for partner in (cls.approver, cls.other_contact, cls.stranger)
        }
        cls.order = cls._create_contract(
            [
                {
                    "name": "Design",
                    "amount_untaxed": 10000.0,
                    "contract_date": "2030-05-31",
                    "description": "<p>All <b>screens</b> of the shop</p>",
                    "deliverable_ids": [
                        Command.create({"name": "Screens", "acceptance_criteria": "Contrast AA"}),
                        Command.create({"name": "Prototype"}),
                    ],
                },
                {"name": "Build", "amount_untaxed": 22500.0},
            ],
            milestone_approver_ids=[Command.set((cls.approver | cls.second_approver).ids)],
        )
        cls.milestone, cls.other_milestone = cls.order.milestone_ids.sorted("sequence")
        cls.milestone.deliverable_ids[0].attachment_ids = [
            Command.create({"name": "screens.html", "mimetype": "text/html", "raw": b"<script>alert(1)</script>"})
        ]
        cls._submit(cls.milestone)
        cls.recipient = cls._get_recipient(cls.milestone, cls.approver)
        cls.second_recipient = cls._get_recipient(cls.milestone, cls.second_approver)

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)

    @classmethod
    def _create_portal_user(cls, partner):
        return cls.env["res.users"].create(
            {
                "partner_id": partner.id,
                "login": f"portal_{partner.name.lower()}",
                "password": f"portal_{partner.name.lower()}",
                "group_ids": [Command.set([cls.env.ref("base.group_portal").id])],
                "company_id": cls.company.id,
                "company_ids": [Command.set(cls.company.ids)],
            }
        )

    @classmethod
    def _get_recipient(cls, milestone, partner):
        return milestone.sudo()._get_recipient(partner)

    def _login(self, partner):
        user = self.portal_users[partner]
        self.authenticate(user.login, user.login)

    # -- addresses ---------------------------------------------------------------------------------------

    def _path(self, suffix="", milestone=None, **query):
        path = f"/my/milestones/{(milestone or self.milestone).id}{suffix}"
        return f"{path}?{urlencode(query)}" if query else path

    def _link(self, recipient, suffix="", **query):
        """Return the personal link of a recipient as a path, with ``suffix`` put behind the path of the page."""
        parts = urlsplit(recipient.sudo()._get_access_url())
        extra = f"&{urlencode(query)}" if query else ""
        return f"{parts.path}{suffix}?{parts.query}{extra}"

    # -- what a client does --------------------------------------------------------------------------------

    def _open(self, path, status=200, **kwargs):
        headers = {"User-Agent": "Mozilla/5.0 (test)", **kwargs.pop("headers", {})}
        response = self.url_open(path, headers=headers, allow_redirects=False, **kwargs)
        self.assertEqual(response.status_code, status, response.text[:300])
        return response

    def _read_snapshot(self, path):
        found = re.search(r"snapshot=([0-9a-f]{64})", self._open(path).text)
        self.assertTrue(found, "the page does not let decide")
        return found[1]

    def _read_csrf_token(self, path, status=200):
        return re.search(r'name="csrf_token" value="([^"]+)"', self._open(path, status).text)[1]

    def _sign(self, page, **values):
        """Approve from the page of the address ``page``."""
        snapshot = values.pop("snapshot", None) or self._read_snapshot(page)
        lang = values.pop("lang", "en_US")
        path, _mark, query = page.partition("?")
        query = f"{query}&" if query else ""
        return self.make_jsonrpc_request(
            f"{path}/approve?{query}{urlencode({'snapshot': snapshot, 'lang': lang})}",
            {"name": "Ada Approver", "signature": draw_signature(), **values},
            headers={"User-Agent": "Mozilla/5.0 (test)"},
        )

    def _ask_for_changes(self, page, reason="Please use the new logo.", **values):
        text = self._open(page).text
        snapshot = re.search(r"snapshot=([0-9a-f]{64})", text)[1]
        csrf_token = re.search(r'name="csrf_token" value="([^"]+)"', text)[1]
        return self._post(
            page, "/changes", {"reason": reason, "snapshot": snapshot, "csrf_token": csrf_token, **values}
        )

    def _post(self, page, suffix, data):
        path, _mark, query = page.partition("?")
        return self.url_open(f"{path}{suffix}?{query}", data=data, allow_redirects=False)

    # -- what is left of it ----------------------------------------------------------------------------------

    def _get_mails(self, partner=None):
        """Return the queued mails of this addon, to ``partner``, the oldest first."""
        mails = self.env["mail.mail"].sudo().search([("model", "=", False)], order="id")
        return mails.filtered(lambda mail: not partner or mail.recipient_ids == partner)

    def assertUndecided(self, milestone=None):
        milestone = milestone or self.milestone
        self.env.invalidate_all()
        self.assertEqual(milestone.state, "submitted")
        self.assertEqual(milestone.sudo().approval_id.decision, "pending")
        self.assertFalse(milestone.sudo().approval_id.recipient_ids.filtered("decision"))

    def assertRedirected(self, response, path="/my"):
        self.assertIn(response.status_code, (302, 303))
        self.assertEqual(urlsplit(response.headers["Location"]).path, path)
