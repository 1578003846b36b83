"""Contracts on a running server, and the client's side of them over HTTP."""

import base64
import io
import re
import time

from PIL import Image, ImageDraw

MAKE_CONTRACT = """
    from odoo.fields import Command
    client = env["res.partner"].create({{"name": "Client", "is_company": True, "email": "office@example.com"}})
    approvers = env["res.partner"].create([
        {{"name": f"Approver {{number}}", "email": f"approver{{number}}@example.com", "parent_id": client.id}}
        for number in range({approvers})
    ])
    order = env["sale.order"].create({{
        "partner_id": approvers[0].id,
        "milestone_approver_ids": [Command.set(approvers.ids)],
        "milestone_invoice_policy": "post",
        "milestone_ids": [
            Command.create({{
                "name": f"Milestone {{number}}",
                "amount_untaxed": 1000.0 + number,
                "deliverable_ids": [Command.create({{"name": "Report", "url": "https://example.com/report"}})],
            }})
            for number in range({milestones})
        ],
    }})
    order.action_confirm()
    order.milestone_ids.action_start()
    order.milestone_ids.action_submit()
    return {{
        "order": order.id,
        "milestones": [
            {{
                "id": milestone.id,
                "links": [
                    recipient._get_access_url().partition("/my/")[2]
                    for recipient in milestone.approval_id.recipient_ids
                ],
            }}
            for milestone in order.milestone_ids
        ],
    }}
"""
STATE = """
    env.cr.commit()
    milestones = env["sale.milestone"].browse({ids})
    return [
        {{
            "state": milestone.state,
            "billing_state": milestone.billing_state,
            "approved": len(milestone.approval_ids.filtered(lambda approval: approval.decision == "approved")),
            "decisions": milestone.approval_ids.mapped("decision"),
            "invoices": len(milestone.invoice_line_ids.move_id),
            "net": sum(milestone.invoice_line_ids.filtered("tax_ids").mapped("price_subtotal"))
                or sum(milestone.invoice_line_ids.mapped("price_subtotal")),
            "planned": milestone.amount_untaxed,
            "evidence": milestone._verify_evidence(),
        }}
        for milestone in milestones
    ]
"""


def make_contract(server, milestones=1, approvers=1):
    """Return the ids and personal links of a contract whose milestones wait for the client."""
    return server.shell(MAKE_CONTRACT.format(milestones=milestones, approvers=approvers))


MAKE_REQUESTS = """
    from odoo.fields import Command
    order = env["sale.order"].browse({order})
    requests = env["sale.change.request"].create([
        {{
            "order_id": order.id,
            "title": f"Change {{number}}",
            "reason": "It has to be so.",
            "line_ids": [
                Command.create({{"action": "change", "milestone_id": milestone, "amount": 100.0 * (number + 1)}})
                for milestone in milestones
            ],
        }}
        for number, milestones in enumerate({milestones})
    ])
    requests.action_submit()
    return [
        {{
            "id": request.id,
            "links": [
                recipient._get_access_url().partition("/my/")[2] for recipient in request.approval_id.recipient_ids
            ],
        }}
        for request in requests
    ]
"""
REQUESTS = """
    env.cr.commit()
    requests = env["sale.change.request"].browse({ids})
    order = requests.order_id
    return {{
        "requests": [
            {{
                "state": request.state,
                "number": request.change_order_number,
                "decisions": request.approval_ids.mapped("decision"),
                "lines": request.line_ids.order_line_ids.mapped("price_subtotal"),
                "evidence": request._verify_evidence(),
            }}
            for request in requests
        ],
        "original": order.milestone_original_amount,
        "changes": order.milestone_changes_amount,
        "revised": order.milestone_revised_amount,
    }}
"""


def make_requests(server, contract, milestones):
    """Present a change request for each list of milestones; return their ids and personal links."""
    ids = [[milestone["id"] for milestone in touched] for touched in milestones]
    return server.shell(MAKE_REQUESTS.format(order=contract["order"], milestones=ids))


def read_requests(server, requests):
    """Return what the database says of change requests and of their contract."""
    return server.shell(REQUESTS.format(ids=[request["id"] for request in requests]))


def read_state(server, milestones):
    """Return what the database says of the milestones, read by a process of its own."""
    return server.shell(STATE.format(ids=[milestone["id"] for milestone in milestones]))


def wait_until_invoiced(server, milestones, seconds=60):
    """Wait for the queue; return the state of the milestones whether it came or not."""
    ids = tuple(milestone["id"] for milestone in milestones)
    deadline = time.monotonic() + seconds
    with server.connect() as connection, connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM sale_milestone WHERE id IN %s AND billing_state = 'invoiced'", [ids])
            if cursor.fetchone()[0] == len(ids):
                break
            connection.commit()
            time.sleep(0.2)
    return read_state(server, milestones)


class Client:
    """Somebody with a personal link and a browser, who looks at the page before deciding."""

    def __init__(self, server, subject, link=0, kind="milestones"):
        self.session = server.visitor()
        self.path = f"/my/{kind}/{subject['id']}"
        self.query = subject["links"][link].partition("?")[2]
        self.snapshot = None
        self.csrf_token = None

    def open_page(self):
        response = self.session.get(f"{self.path}?{self.query}")
        snapshot = re.search(r"snapshot=([0-9a-f]{64})", response.text)
        csrf_token = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
        self.snapshot = snapshot and snapshot[1]
        self.csrf_token = csrf_token and csrf_token[1]
        return response

    def approve(self):
        """Return the HTTP response of one approval with a signature."""
        return self.session.post(
            f"{self.path}/approve?{self.query}&snapshot={self.snapshot}",
            json={"jsonrpc": "2.0", "params": {"name": "Approver", "signature": draw_signature()}},
        )

    def ask_for_changes(self, reason="Please mend the report."):
        query = dict(part.split("=", 1) for part in self.query.split("&"))
        data = {**query, "snapshot": self.snapshot, "reason": reason, "csrf_token": self.csrf_token}
        return self.session.post(f"{self.path}/changes", data=data)


def has_won(response):
    """Whether this answer says that its approval counted."""
    return response.status_code == 200 and "message=approved" in response.text


def draw_signature():
    picture = Image.new("RGBA", (240, 80), (255, 255, 255, 0))
    ImageDraw.Draw(picture).line([(10, 60), (80, 15), (150, 65), (230, 30)], fill="black", width=4)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
