"""A whole engagement in three browsers: a salesperson, a project manager, and a client without an account.

Whatever they do goes through their screens; what they see is asserted first, then what the database says.
"""

import time

from tests.browser import DESKTOP, PHONE
from tests.engagement import changes, delivery, portal, sales
from tests.engagement.backend import DIALOG, close_dialog, open_tab
from tests.engagement.setting import day, money, open_engagement

CONCEPT, SHOP = 3750.25, 6500.50  # of revision 2
FIRST_CONCEPT = 4000.00
CHANGE, CHANGE_TAX = 1250.33, 237.56
UNTAXED, TAX, TOTAL = 10250.75, 1947.64, 12198.39
REVISED, REVISED_TAX, REVISED_TOTAL = 11501.08, 2185.20, 13686.28
CONCEPT_TOTAL = 4462.80


def test_whole_engagement(server):
    with open_engagement(server) as engagement:
        steps = (
            write_requirements,
            send_proposal,
            ask_for_modifications,
            send_second_revision,
            sign,
            countersign,
            kick_off,
            approve_first_milestone,
            request_change,
            price_change,
            approve_change,
            approve_second_milestone,
            state_the_end,
        )
        for step in steps:
            began = time.monotonic()
            step(engagement)
            print(f"    {step.__name__:<26} {time.monotonic() - began:5.1f} s", flush=True)
            people = (engagement.sara, engagement.paul, engagement.clara)
            assert {person.name: person.problems for person in people if person.problems} == {}, step.__name__


def write_requirements(engagement):
    sara = engagement.sara
    plan = [
        ("Concept", day(30), f"{FIRST_CONCEPT:,.2f}", ("Wireframes", "All pages, desktop and phone")),
        ("Online shop", day(90), f"{SHOP:,.2f}", ("Shop", "A customer orders and pays")),
    ]
    engagement.order = sales.write_plan(sara, "Clara Client", "Brewery shop", plan)
    needs = [
        ("A customer sees every beer on a phone", "Must", "Wireframes"),
        ("A customer pays by card", "Must", "Shop"),
    ]
    sales.write_requirements(sara, needs)

    sara.see("button[name=action_view_requirement_coverage]", "2/2 Covered")
    engagement.show(sara, "01-requirements")
    open_tab(sara, "milestones", "[name=milestone_ids] .o_data_row")
    sara.see("[name=milestone_planned_amount]", money(FIRST_CONCEPT + SHOP))
    engagement.show(sara, "02-plan")
    assert engagement.read_order("state", "amount_untaxed") == ("draft", FIRST_CONCEPT + SHOP)
    found = engagement.read("sale.requirement", [["order_id", "=", engagement.order]], "statement", "state")
    assert [(row["statement"], row["state"]) for row in found] == [(need[0], "covered") for need in needs]
    found = engagement.read("sale.milestone", [["order_id", "=", engagement.order]], "name")
    engagement.milestones = [row["id"] for row in found]


def send_proposal(engagement):
    sales.send_proposal(engagement.sara)
    engagement.sara.see(".o_arrow_button_current", "Quotation Sent")
    assert engagement.read_order("state", "revision_count") == ("sent", 1)

    engagement.open_mail("Quotation", "Accept & Sign", "#portal_sale_content")
    clara = engagement.clara
    assert money(12495.60) in clara.text(".o_portal_sale_sidebar")
    for text in ("Payment Plan", money(FIRST_CONCEPT), "A customer pays by card", "Shop (Online shop)"):
        clara.see("#portal_sale_content", text)
    engagement.show(clara, "03-proposal-phone")
    clara.size(*DESKTOP)
    clara.see("#proposal_revisions", "Revision 1")
    engagement.show(clara, "04-proposal")


def ask_for_modifications(engagement):
    words = "Please deliver the shop two weeks earlier, and begin with a smaller concept."
    clara = engagement.clara
    clara.size(*PHONE)
    portal.write_modifications(clara, words)
    engagement.show(clara, "05-modifications-phone")
    portal.send_modifications(clara)
    clara.see("#proposal_in_negotiation", "Modifications were asked for")
    assert engagement.read_order("milestone_negotiation", "state") == (True, "sent")

    sales.open_order(engagement.sara, engagement.order, "[name=negotiation]")
    engagement.sara.see("[name=negotiation]", words)
    engagement.show(engagement.sara, "06-negotiation")


def send_second_revision(engagement):
    sara, clara = engagement.sara, engagement.clara
    sales.change_plan(sara, 1, day(30), f"{CONCEPT:,.2f}")
    sales.change_plan(sara, 2, day(76), f"{SHOP:,.2f}")
    sara.see("[name=revision_status]", "Revision 2, not sent yet")
    sales.send_proposal(sara)
    sara.see("[name=revision_status]", "Revision 2")
    sara.miss("[name=revision_status]", "not sent")
    found = engagement.read_order(
        "revision_count", "milestone_negotiation", "amount_untaxed", "amount_tax", "amount_total"
    )
    assert found == (2, False, UNTAXED, TAX, TOTAL)

    engagement.open_mail("Quotation", "Accept & Sign", "#portal_sale_content")
    assert money(TOTAL) in clara.text(".o_portal_sale_sidebar")
    clara.click("#proposal_revisions a", "#changes_since", text="What changed")
    for text in ("Milestone Concept: untaxed amount", money(FIRST_CONCEPT), money(CONCEPT), day(90), day(76)):
        clara.see(".o_proposal_difference", text)
    engagement.show(clara, "07-what-changed-phone")
    clara.click("#wrap a.btn", "#portal_sale_content", text="Back")


def sign(engagement):
    clara = engagement.clara
    portal.open_signature(clara, "#modalaccept")
    clara.see("#modalaccept", money(TOTAL))
    engagement.show(clara, "08-signature-phone")
    portal.sign(clara, "#modalaccept", "Clara Client")
    clara.see(".alert-info", "It is confirmed when YourCompany has signed as well")
    assert engagement.read_order("state", "signed_by", "milestone_to_countersign") == ("sent", "Clara Client", True)


def countersign(engagement):
    sara = engagement.sara
    sales.open_order(sara, engagement.order, "button[name=action_countersign]")
    sara.see(".alert-info", "Signed by the client, waits for countersignature.")
    sales.countersign(sara)
    sara.see(DIALOG, money(TOTAL))
    engagement.show(sara, "09-countersignature")
    close_dialog(sara, "button[name=action_confirm]")
    sara.see(".o_arrow_button_current", "Sales Order")
    sara.see("[name=revision_status]", "Revision 2, agreed")
    [countersigner] = engagement.read("res.users", [["login", "=", "sara"]], "name")
    found = engagement.read_order("state", "countersigned_by", "milestone_original_amount", "amount_total")
    assert found == ("sale", [countersigner["id"], "Sara Sales"], UNTAXED, TOTAL)

    assert engagement.read_mail("signed contract").attachments[0].startswith("Signed contract")


def kick_off(engagement):
    [project] = engagement.read_milestone(1, "project_id")
    engagement.project = project[0]
    paul = engagement.paul
    delivery.open_kickoff(paul, engagement.project)
    paul.see(f"{delivery.CHECKLIST} li", "Done: The kickoff meeting is planned")
    engagement.show(paul, "10-checklist")
    delivery.open_meeting(paul)
    paul.click(".o_form_view .nav-link", text="Options")
    paul.see(".o_form_view [name=description]", "How deliverables are presented and approved")
    engagement.show(paul, "11-kickoff")
    [meeting] = engagement.read("calendar.event", [["kickoff_order_id", "=", engagement.order]], "partner_ids")
    assert len(meeting["partner_ids"]) == 3
    tasks = engagement.read("project.task", [["project_id", "=", engagement.project]], "name")
    assert [task["name"] for task in tasks] == ["Wireframes"]

    assert "Description of the event" in engagement.read_mail("Invitation to Kickoff").text
    welcome = "Welcome: we begin with Brewery shop"
    engagement.open_mail(welcome, "Open Your Order", "#order_request_change", DESKTOP)
    engagement.clara.see("#wrap", "Paul Planner")
    engagement.order_link = engagement.clara.evaluate("location.href")  # what she bookmarks


def approve_first_milestone(engagement):
    deliver(engagement, 1, CONCEPT_TOTAL, ("12-review", "13-milestone-phone", "14-approved-phone"))
    found = engagement.read_milestone(1, "state", "billing_state", "amount_untaxed", "amount_total")
    assert found == ("approved", "invoiced", CONCEPT, CONCEPT_TOTAL)
    assert read_invoices(engagement) == [("posted", CONCEPT, CONCEPT_TOTAL)]
    assert engagement.read_milestone(2, "state") == ("draft",)


def deliver(engagement, number, total, pictures):
    """Paul works, Sara submits, Paul reviews, and Clara approves with her signature and sees her invoice."""
    sara, paul, clara = engagement.sara, engagement.paul, engagement.clara
    milestone = engagement.milestones[number - 1]
    delivery.open_milestone(paul, milestone, "Planned")
    delivery.start(paul)
    delivery.link_work(paul, f"https://example.com/work/{number}")
    delivery.open_milestone(sara, milestone, "In Progress")
    delivery.submit(sara)
    delivery.open_milestone(paul, milestone, "Internal Review")
    paul.see(".alert-info", "submitted by Sara Sales")
    engagement.show(paul, pictures[0])
    delivery.review(paul)
    assert engagement.read_milestone(number, "state", "billing_state") == ("submitted", "not_due")

    engagement.open_mail("waits for your approval", "Review the Milestone", "#milestone_waiting")
    clara.see("#milestone_deliverables", f"https://example.com/work/{number}")
    engagement.show(clara, pictures[1])
    portal.open_signature(clara, "#modal_milestone_approve")
    clara.see("#milestone_consent", money(total))
    portal.sign(clara, "#modal_milestone_approve", "Clara Client")
    clara.see("#milestone_invoices", "Approved by Clara Client")
    clara.see("#milestone_invoice_list", money(total))  # comes by itself, without loading the page again
    engagement.show(clara, pictures[2])
    engagement.read_mail("is approved")


def read_invoices(engagement):
    found = engagement.read(
        "account.move",
        [["line_ids.sale_line_ids.order_id", "=", engagement.order]],
        "state",
        "amount_untaxed",
        "amount_total",
    )
    return [(row["state"], row["amount_untaxed"], row["amount_total"]) for row in found]


def request_change(engagement):
    clara = engagement.clara
    clara.go(engagement.order_link, "#order_request_change", PHONE)
    portal.request_change(clara, "Clara Client", "Gift vouchers", "Online shop", "Our guests ask for vouchers.")
    engagement.show(clara, "15-change-phone")
    portal.send_change_request(clara)
    clara.see("#open_change_requests", "Gift vouchers")
    clara.see("#open_change_requests", "Being Estimated")
    engagement.show(clara, "16-change-raised-phone")
    engagement.read_mail("We got your change request")
    [request] = engagement.read("sale.change.request", [["order_id", "=", engagement.order]], "state", "title")
    assert (request["state"], request["title"]) == ("draft", "Gift vouchers")


def price_change(engagement):
    sara, paul = engagement.sara, engagement.paul
    changes.open_request(sara, engagement.order)
    changes.price(sara, "24", f"{CHANGE:,.2f}", day(104))
    for text in (money(UNTAXED), money(CHANGE), money(REVISED)):
        sara.see("[name=impact_html]", text)
    engagement.show(sara, "17-impact")
    changes.present(sara)
    changes.open_waiting(paul, "Gift vouchers")
    delivery.review(paul)
    [request] = engagement.read("sale.change.request", [["order_id", "=", engagement.order]], "state", "amount_delta")
    assert (request["state"], request["amount_delta"]) == ("submitted", CHANGE)
    assert engagement.read_order("amount_untaxed", "milestone_changes_amount") == (UNTAXED, 0.0)


def approve_change(engagement):
    clara = engagement.clara
    engagement.open_mail("waits for your approval", "Review", "#change_request_waiting", DESKTOP)
    for text in (money(UNTAXED), money(CHANGE), money(REVISED)):
        clara.see("#change_request_impact", text)
    engagement.show(clara, "18-change-impact")
    clara.size(*PHONE)
    portal.open_signature(clara, "#modal_change_request_approve")
    clara.see("#change_request_consent", money(CHANGE))
    clara.see("#change_request_consent", money(REVISED))
    engagement.show(clara, "19-change-signature-phone")
    portal.sign(clara, "#modal_change_request_approve", "Clara Client")
    clara.see("#change_request_acceptance", "Change Order 1")
    engagement.read_mail("is approved")
    [request] = engagement.read(
        "sale.change.request", [["order_id", "=", engagement.order]], "state", "change_order_number"
    )
    assert (request["state"], request["change_order_number"]) == ("approved", 1)
    names = ("milestone_original_amount", "milestone_changes_amount", "milestone_revised_amount")
    assert engagement.read_order(*names) == (UNTAXED, CHANGE, REVISED)
    assert engagement.read_order("amount_untaxed", "amount_tax", "amount_total") == (
        REVISED,
        REVISED_TAX,
        REVISED_TOTAL,
    )
    assert engagement.read_milestone(2, "amount_untaxed") == (round(SHOP + CHANGE, 2),)


def approve_second_milestone(engagement):
    total = round(REVISED_TOTAL - CONCEPT_TOTAL, 2)
    deliver(engagement, 2, total, ("20-second-review", "21-second-milestone-phone", "22-second-approved-phone"))
    found = engagement.read_milestone(2, "state", "billing_state", "amount_untaxed", "amount_total")
    assert found == ("approved", "invoiced", round(SHOP + CHANGE, 2), total)
    assert read_invoices(engagement) == [
        ("posted", CONCEPT, CONCEPT_TOTAL),
        ("posted", round(SHOP + CHANGE, 2), total),
    ]


def state_the_end(engagement):
    """Contract = original + changes = invoiced, on screen, in the statement and in the books."""
    sara, clara = engagement.sara, engagement.clara
    clara.go(engagement.order_link, "#contract_history_table", DESKTOP)
    for text in (money(UNTAXED), "Change Order 1: Gift vouchers", money(CHANGE), money(REVISED)):
        clara.see("#contract_history_table", text)
    engagement.show(clara, "23-contract-history", part="#contract_history")
    clara.click("#order_statement", "[name=milestone_statement]")
    for amount in (UNTAXED, CHANGE, REVISED, REVISED_TAX, REVISED_TOTAL):
        clara.see("[name=milestone_statement]", f"{amount:,.2f}")
    engagement.show(clara, "24-statement")

    sales.open_order(sara, engagement.order)
    open_tab(sara, "contract_history", "[name=change_order_ids] .o_data_row")
    sara.see("[name=milestone_revised_amount]", money(REVISED))
    open_tab(sara, "signatures", "button[name=action_verify_contract]")
    sara.click("button[name=action_verify_contract]")
    sara.see(".o_notification", "The order is what was signed, with 1 change order. The record of it is unbroken.")
    engagement.show(sara, "25-verified", down_to=".o_form_sheet")
    delivery.open_milestone(engagement.paul, engagement.milestones[1], "Approved")
    open_tab(engagement.paul, "reviews", "button[name=action_verify_evidence]")
    engagement.paul.click("button[name=action_verify_evidence]")
    engagement.paul.see(".o_notification", "All evidence is as it was recorded.")

    sums = [REVISED, REVISED_TAX, REVISED_TOTAL]
    proof = engagement.prove()
    assert (proof["contract"], set(proof["evidence"]), len(proof["evidence"])) == ("", {""}, 3)
    assert (proof["original"], proof["changes"], proof["revised"]) == (UNTAXED, CHANGE, REVISED)
    assert round(TAX + CHANGE_TAX, 2) == REVISED_TAX
    for name in ("contracted", "milestones", "invoiced", "stated"):
        assert [round(amount, 2) for amount in proof[name]] == sums, name
    rows = {name: round(amount, 2) for name, amount in proof["subtotal"].items()}
    assert rows == {"contract": UNTAXED, "changes": CHANGE, "revised": REVISED, "to_date": REVISED, "remaining": 0.0}
    assert proof["requirements"] == ["fulfilled", "fulfilled"]
