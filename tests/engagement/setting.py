"""The three persons with their browsers, what is prepared for them, and what the database says meanwhile."""

from contextlib import ExitStack, contextmanager
from datetime import date, timedelta

from dev import settings
from tests.browser import PHONE, Browser, Client
from tests.engagement.backend import DIALOG, FORM
from tests.mailbox import Mailbox

CLARA = "clara@linden.example.com"
PREPARE = """
    from odoo.fields import Command
    company = env.company
    env["mail.mail"].search([("state", "=", "outgoing")]).state = "cancel"  # of the demo data
    env["ir.mail_server"].search([]).active = False
    env["ir.mail_server"].create({{"name": "Mailbox", "smtp_host": "127.0.0.1", "smtp_port": {port}}})
    groups = {{
        "sara": ["sales_team.group_sale_salesman", "milestone_billing.group_countersigner"],
        "paul": ["project.group_project_manager", "milestone_billing.group_internal_reviewer"],
    }}
    users = {{
        login: env["res.users"].with_context(no_reset_password=True).create({{
            "name": name,
            "login": login,
            "password": login,
            "email": f"{{login}}@contractor.example.com",
            "group_ids": [Command.set([env.ref(group).id for group in groups[login]])],
        }})
        for login, name in (("sara", "Sara Sales"), ("paul", "Paul Planner"))
    }}
    template = env["project.project"].create({{"name": "Software", "is_template": True, "user_id": users["paul"].id}})
    vat = env["account.tax.group"].create({{"name": "VAT 19%"}})
    company._get_milestone_product().taxes_id = env["account.tax"].create({{
        "name": "VAT 19%", "amount": 19.0, "type_tax_use": "sale", "tax_group_id": vat.id,
    }})
    company.write({{
        "milestone_project_template_id": template.id,
        "milestone_countersign": True,
        "milestone_internal_review": True,
        "milestone_invoice_policy": "post",
        "milestone_show_requirements": True,
        "portal_confirmation_sign": True,
        "portal_confirmation_pay": False,
    }})
    brewery = env["res.partner"].create({{"name": "Linden Brewery", "is_company": True}})
    env["res.partner"].create({{"name": "Clara Client", "parent_id": brewery.id, "email": {client!r}}})
"""
PROOF = """
    order = env["sale.order"].browse({order})
    statement = order._get_statement_values()
    invoices = order.invoice_ids.filtered(lambda move: move.state == "posted")
    return {{
        "contract": order._verify_signed_contract(),
        "evidence": [
            subject._verify_evidence() for subject in [*order.milestone_ids, *order.change_request_ids]
        ],
        "requirements": order.requirement_ids.mapped("state"),
        "original": order.milestone_original_amount,
        "changes": order.milestone_changes_amount,
        "revised": order.milestone_revised_amount,
        "contracted": [order.amount_untaxed, order.amount_tax, order.amount_total],
        "milestones": [
            sum(order.milestone_ids.mapped(name)) for name in ("amount_untaxed", "amount_tax", "amount_total")
        ],
        "invoiced": [sum(invoices.mapped(name)) for name in ("amount_untaxed", "amount_tax", "amount_total")],
        "stated": [statement[name]["to_date"] for name in ("untaxed", "tax", "total")],
        "subtotal": {{
            name: statement["subtotal"][name] for name in ("contract", "changes", "revised", "to_date", "remaining")
        }},
    }}
"""


class Engagement:
    """Sara sells, Paul leads the project, Clara orders; she has no account."""

    def __init__(self, server, mailbox, sara, paul, clara):
        self.server = server
        self.mailbox = mailbox
        self.sara = sara
        self.paul = paul
        self.clara = clara
        self.order = self.project = self.order_link = None
        self.milestones = []
        self.database = server.session("admin")
        self.takes_pictures = settings.flag("ENGAGEMENT_PICTURES", False)

    def read(self, model, domain, *names):
        """Return what the database says, as rows in the order of their ids."""
        return self.database.call(model, "search_read", domain, names, order="id")

    def read_order(self, *names):
        [row] = self.read("sale.order", [["id", "=", self.order]], *names)
        return tuple(row[name] for name in names)

    def read_milestone(self, number, *names):
        [row] = self.read("sale.milestone", [["id", "=", self.milestones[number - 1]]], *names)
        return tuple(row[name] for name in names)

    def prove(self):
        """Return what a process of its own finds when it checks evidence and sums."""
        return self.server.shell(PROOF.format(order=self.order))

    def read_mail(self, subject):
        """Return the mail that Clara got."""
        return self.mailbox.wait_for(CLARA, subject)

    def open_mail(self, subject, link, then, size=PHONE):
        """Let Clara follow a link of a mail; she is nobody to the server."""
        self.clara.go(self.read_mail(subject).get_link(link), then, size)
        self.clara.see("a[href*='/web/login']", "Sign in")

    def show(self, person, name, part=None, down_to=None):
        """Keep a picture for the documents, where they are wanted.

        :param part: the only part of the page to show
        :param down_to: what the page is to be seen down to
        """
        if not self.takes_pictures:
            return
        if not person.has(DIALOG):
            person.evaluate("document.querySelectorAll('.o_content, #wrapwrap').forEach((part) => part.scrollTo(0, 0))")
        if part:
            person.evaluate(f"{person.find(part)}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        if down_to:
            person.stretch(FORM)
        person.shoot(f"engagement-{name}", person.around(part) if part else down_to and person.down_to(down_to))

    def keep_last_sight(self):
        """Keep what each person sees, for whoever has to find out why a test failed."""
        for person in (self.sara, self.paul, self.clara):
            path = settings.LOGS / f"engagement-{person.name}.png"
            person.capture().save(path)
            print(f"{person.name} sees {path}", flush=True)


@contextmanager
def open_engagement(server):
    """Prepare users, tax and mail, and open three browsers."""
    with ExitStack() as stack:
        mailbox = stack.enter_context(Mailbox())
        server.shell(PREPARE.format(port=mailbox.port, client=CLARA))
        people = [stack.enter_context(Browser(server.url, name)) for name in ("sara", "paul", "clara")]
        for person in people[:2]:
            Client(person, server.database, person.name, person.name)
        engagement = Engagement(server, mailbox, *people)
        try:
            yield engagement
        except BaseException:
            engagement.keep_last_sight()
            raise


def day(number):
    """Return a day from today, as it is typed and shown."""
    return (date.today() + timedelta(days=number)).strftime("%m/%d/%Y")


def money(amount):
    """Return an amount as it is shown."""
    return f"$ {amount:,.2f}"
