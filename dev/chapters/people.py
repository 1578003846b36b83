"""Who is in the story, and what a company sets up once."""

from odoo.fields import Command

COMPANY_SIDE = [
    # role, login, groups
    ("Salesperson", "salesperson", ["sales_team.group_sale_salesman_all_leads"]),
    (
        "Managing director",
        "director",
        ["sales_team.group_sale_salesman_all_leads", "milestone_billing.group_countersigner"],
    ),
    ("Project manager", "manager", ["project.group_project_manager", "milestone_billing.group_internal_reviewer"]),
    ("Accountant", "accountant", ["account.group_account_manager", "account.group_account_user"]),
]
TEMPLATE = "Software roll-out"
PLAN = [
    # name, share in percent, weeks after the one before, deliverable, acceptance criteria
    ("Concept", 12.5, 2, "Concept paper", "Covers every department; agreed in a workshop."),
    ("Prototype", 100 / 3, 4, "Clickable prototype", "The three main tasks can be done from end to end."),
    ("Launch", 87.5 - 100 / 3, 7, "Running system", "In use by all departments for five working days."),
]


def make_users(env):
    users = {}
    for role, login, groups in COMPANY_SIDE:
        users[role] = env["res.users"].search([("login", "=", login)]) or env["res.users"].create(
            {
                "name": role,
                "login": login,
                "password": login,
                "email": f"{login}@example.com",
                "group_ids": [Command.set([env.ref(name).id for name in ["base.group_user", *groups]])],
            }
        )
    return users


def make_client(env):
    known = env["res.users"].search([("login", "=", "client")])
    if known:
        return known
    company = env["res.partner"].create(
        {"name": "Harbour Logistics", "is_company": True, "email": "office@example.com"}
    )
    contact = env["res.partner"].create(
        {"name": "Client of Harbour Logistics", "parent_id": company.id, "email": "client@example.com"}
    )
    return env["res.users"].create(
        {
            "login": "client",
            "password": "client",
            "partner_id": contact.id,
            "group_ids": [Command.set([env.ref("base.group_portal").id])],
        }
    )


def prepare(env):
    """Make the account of what clients keep back, and a template of milestones."""
    if not env.company.milestone_retention_account_id:
        env.company._create_retention_account()
    if env["sale.milestone.template"].search_count([("name", "=", TEMPLATE)], limit=1):
        return
    template = env["sale.milestone.template"].create(
        {
            "name": TEMPLATE,
            "line_ids": [
                Command.create(
                    {
                        "sequence": number,
                        "name": name,
                        "percentage": share,
                        "delay_number": weeks,
                        "deliverable_ids": [Command.create({"name": deliverable, "acceptance_criteria": criteria})],
                    }
                )
                for number, (name, share, weeks, deliverable, criteria) in enumerate(PLAN, 1)
            ],
        }
    )
    for line, before in zip(template.line_ids[1:], template.line_ids, strict=False):
        line.predecessor_ids = before
