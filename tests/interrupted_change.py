"""What `tests/test_interrupted_change.py` runs inside Odoo, each function in a process of its own."""

import json
import os
from pathlib import Path

from odoo.fields import Command

MILESTONES = 30


def prepare(env):
    """Make a contract and present a change request that touches each of its milestones."""
    partner = env["res.partner"].create({"name": "Client", "email": "client@example.com"})
    order = env["sale.order"].create(
        {
            "partner_id": partner.id,
            "milestone_invoice_policy": "manual",
            "milestone_ids": [
                Command.create({"name": f"Milestone {number}", "amount_untaxed": 1000.0 + number, "sequence": number})
                for number in range(1, MILESTONES + 1)
            ],
        }
    )
    order.action_confirm()
    lines = []
    for number, milestone in enumerate(order.milestone_ids):
        line = {"action": "change", "milestone_id": milestone.id, "amount": 10.0, "new_name": f"Changed {number}"}
        if number % 5 == 1:
            line = {"action": "split", "milestone_id": milestone.id, "amount": 100.0, "new_name": f"Split {number}"}
        elif number % 5 == 2:
            line = {"action": "cancel", "milestone_id": milestone.id}
        lines += [Command.create(line), Command.create({"action": "add", "new_name": f"New {number}", "amount": 5.0})]
    request = env["sale.change.request"].create(
        {"order_id": order.id, "title": "All of it", "reason": "New plan", "line_ids": lines}
    )
    request.action_submit()
    return request.id


def approve(env):
    """Let the client approve; READY names a file that says when it begins."""
    request = env["sale.change.request"].browse(int(os.environ["REQUEST"]))
    Path(os.environ["READY"]).write_text(str(env.cr.connection.info.backend_pid))
    request._approve(
        {
            "partner": request.partner_id,
            "method": "link",
            "snapshot_hash": request.approval_id.snapshot_hash,
            "signed_by": "Client",
            "consent": "I approve.",
        }
    )


def read(env):
    """Return what the contract is."""
    request = env["sale.change.request"].browse(int(os.environ["REQUEST"]))
    order = request.order_id
    return {
        "state": request.state,
        "decisions": request.approval_ids.mapped("decision"),
        "number": request.change_order_number,
        "lines": len(order.order_line.filtered("change_line_id")),
        "milestones": len(order.milestone_ids),
        "cancelled": len(order.milestone_ids.filtered(lambda milestone: milestone.state == "cancelled")),
        "renamed": len(order.milestone_ids.filtered(lambda milestone: milestone.name.startswith("Changed"))),
        "original": order.milestone_original_amount,
        "changes": order.milestone_changes_amount,
        "revised": order.milestone_revised_amount,
        "agreed": sum(float(row["after"]["untaxed"]) for row in request._get_impact()["rows"] if row["after"]),
        "evidence": request._verify_evidence(),
        "snapshot": json.loads(request.approval_ids[:1].snapshot)["impact"]["revised"],
    }
