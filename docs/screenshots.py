"""Take the pictures of the documents from a served demo; `make screenshots` calls it.

The environment says where: ODOO_URL, ODOO_DB, and ODOO_GUIDE, the JSON file with what the
story of the demo returned (logins, pages). CHROMIUM may name another browser. The pictures
go to docs/pictures, two of them also to the addon's own page.
"""

import json
import os
import shutil
from pathlib import Path

from tests.browser import DESKTOP, PHONE, PICTURES, Browser, Client

DESCRIPTION = PICTURES.parent.parent / "milestone_billing/static/description"
BOARD = (1755, 800)  # five columns
# Unfold the groups of a list, and those within them, one after the other.
UNFOLD = """(async () => {
    let group;
    while ((group = document.querySelector(".o_group_header:not(.o_group_open)"))) {
        group.click();
        while (group.isConnected && !group.classList.contains("o_group_open")) {
            await new Promise(requestAnimationFrame);
        }
    }
})()"""


def take_portal(browser, client):
    """What a client sees: list, milestone, approval dialog, and the invoice of an approved milestone."""
    waiting = client.find("sale.milestone", [["state", "=", "submitted"]])
    approved = client.find("sale.milestone", [["state", "=", "approved"]])
    for suffix, size in (("", DESKTOP), ("-phone", PHONE)):
        browser.go("/my/milestones", ".o_portal_my_doc_table", size)
        browser.shoot(f"portal-list{suffix}", browser.down_to(".o_portal_my_doc_table"))
        browser.go(f"/my/milestones/{waiting}", "#milestone_waiting", (size[0], 1400))
        browser.shoot(f"portal-milestone{suffix}", browser.above("#milestone_communication", gap=20))
        browser.size(*size)
        browser.click("[data-bs-target='#modal_milestone_approve']", "#modal_milestone_approve.show canvas")
        browser.shoot(f"portal-approval{suffix}", browser.down_to("#modal_milestone_approve .modal-content"))
    browser.go(f"/my/milestones/{approved}", "#milestone_invoice_list")
    browser.shoot("portal-approved", browser.box("#milestone_invoices"))
    order = client.find("sale.order", [["milestone_ids", "!=", False]])
    browser.go(f"/my/orders/{order}", "[name=milestone_payment_plan]", (DESKTOP[0], 2000))
    plan, terms = browser.around("[name=milestone_payment_plan]"), browser.around("[name=retention_terms]")
    plan["height"] = terms["y"] + terms["height"] - plan["y"]
    browser.shoot("portal-plan", plan)


def take_sales(browser, user):
    """The plan of a quotation, and the wizard that makes one."""
    order = user.find("sale.order", [["client_order_ref", "=", "Office concept"]])
    browser.go(f"/odoo/sales/{order}", ".o_form_view a[name=milestones]")
    browser.click("a[name=milestones]", "[name=milestone_ids] .o_data_row")
    browser.stretch()
    browser.shoot("quotation-milestones", browser.down_to("[name=milestone_plan_display]"))
    order = user.find("sale.order", [["client_order_ref", "=", "Web shop"]])
    browser.size(*DESKTOP)
    browser.go(f"/odoo/sales/{order}", ".o_form_view a[name=milestones]")
    browser.click("a[name=milestones]", "button[name=action_plan_milestones]")
    browser.click("button[name=action_plan_milestones]", ".modal button[name=action_apply]")
    browser.shoot("plan-wizard", browser.around(".modal-content", gap=0))


def take_project(browser, user):
    """The board, a milestone with the client, and the approval on behalf of the client."""
    browser.go("/odoo/milestones", ".o_kanban_view .o_kanban_record", BOARD)
    browser.evaluate("document.querySelectorAll('.o_content, .o_renderer').forEach((part) => part.scrollTo(1e4, 0))")
    browser.shoot("milestones-board")
    waiting = user.find("sale.milestone", [["state", "=", "submitted"], ["project_id", "!=", False]])
    browser.go(f"/odoo/milestones/{waiting}", "button[name=action_approve_on_behalf]")
    browser.stretch()
    browser.shoot("milestone-waiting", browser.down_to(".o_form_sheet", gap=0))
    browser.size(*DESKTOP)
    browser.click("button[name=action_approve_on_behalf]", ".modal .o_field_widget[name=proof_ids]")
    browser.shoot("approve-on-behalf", browser.down_to(".modal-content"))


def take_accounting(browser, user):
    """An approved milestone with its reviews, its invoice, what is retained, and an invoice of several orders."""
    milestone = user.find("sale.milestone", [["state", "=", "approved"], ["name", "=", "Concept"]])
    invoice = user.find("account.move", [["line_ids.billing_milestone_id", "=", milestone]])
    browser.go(f"/odoo/milestones/{milestone}", "a[name=reviews]")
    browser.click("a[name=reviews]", "button[name=action_verify_evidence]")
    browser.stretch()
    browser.shoot("milestone-reviews", browser.down_to("[name=approval_ids] .o_data_row", gap=0))
    browser.go(f"/odoo/customer-invoices/{invoice}", "button[name=action_view_billing_milestones]")
    browser.stretch()
    browser.shoot("invoice-milestone", browser.down_to("[name=retention_statement]"))
    browser.go("/odoo/action-milestone_billing.sale_retention_report_action", ".o_list_view .o_group_header")
    browser.evaluate(UNFOLD)
    browser.see(".o_data_row")
    browser.shoot("retention-list", browser.down_to(".o_list_view table"))
    waiting = [["billing_state", "=", "to_invoice"], ["order_id.milestone_invoice_schedule", "=", "monthly"]]
    customer = user.call("sale.milestone", "search_read", waiting, ["partner_id"], limit=1)[0]["partner_id"][0]
    invoice = user.call("res.partner", "action_bill_milestones", [customer])["res_id"]
    browser.go(f"/odoo/customer-invoices/{invoice}", "button[name=action_view_billing_milestones]")
    browser.stretch()
    browser.shoot("invoice-consolidated", browser.down_to("[name=tax_totals]", gap=0))


def take_administration(browser, user):
    """The terms of a contract in full, and the settings."""
    order = user.find("sale.order", [["client_order_ref", "=", "Packaging line"]])
    browser.go(f"/odoo/sales/{order}", ".o_form_view a[name=milestones]")
    browser.click("a[name=milestones]", "[name=milestone_retention_percentage]")
    browser.stretch(limit=2000)
    browser.shoot("contract-terms", browser.above(".o-mail-Form-chatter"))
    browser.go(
        "/odoo/action-milestone_billing.milestone_billing_settings_action",
        "#milestone_create_project",
    )
    browser.stretch(limit=2600)
    browser.shoot("settings", browser.down_to("#milestone_create_project"))


def main():
    guide = json.loads(Path(os.environ["ODOO_GUIDE"]).read_text(encoding="utf-8"))
    logins = {role: (login, password) for role, login, password in guide["logins"]}
    steps = [
        ("Client", take_portal),
        ("Salesperson", take_sales),
        ("Project manager", take_project),
        ("Accountant", take_accounting),
        ("Administrator", take_administration),
    ]
    PICTURES.mkdir(exist_ok=True)
    with Browser(os.environ["ODOO_URL"]) as browser:
        for role, take in steps:
            print(f"Pictures of the {role.lower()}:", flush=True)
            take(browser, Client(browser, os.environ["ODOO_DB"], *logins[role]))
    for name in ("portal-milestone", "quotation-milestones"):
        shutil.copyfile(PICTURES / f"{name}.png", DESCRIPTION / f"{name}.png")


if __name__ == "__main__":
    main()
