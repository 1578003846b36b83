"""What the salesperson does."""

from tests.engagement.backend import (
    DIALOG,
    FORM,
    TEXT,
    add_row,
    close_dialog,
    fill_date,
    fill_dialog,
    open_tab,
    pick,
    save,
    select,
)

PLAN = ".o_field_widget[name=milestone_ids]"
REQUIREMENTS = ".o_field_widget[name=requirement_ids]"


def write_plan(browser, client, reference, milestones):
    """Begin a quotation with rows of name, contract date, amount and deliverable; return its id."""
    browser.go("/odoo/sales/new", ".o_form_view", FORM)
    pick(browser, "[name=partner_id]", client, client)
    open_tab(browser, "other_information", "[name=client_order_ref] input")
    browser.fill("[name=client_order_ref] input", reference)
    open_tab(browser, "milestones", f"{PLAN} .o_field_x2many_list_row_add")
    for number, (name, day, amount, _deliverable) in enumerate(milestones, 1):
        row = add_row(browser, PLAN, number)
        browser.fill(f"{row} [name=name] input", name)
        fill_date(browser, f"{row} [name=contract_date]", day)
        browser.fill(f"{row} [name=amount_untaxed] input", amount)
    save(browser)
    for number, (_name, _day, _amount, deliverable) in enumerate(milestones, 1):
        add_deliverable(browser, number, *deliverable)
    return int(browser.evaluate("location.pathname").rpartition("/")[2])


def add_deliverable(browser, number, name, criteria):
    browser.click(f"{PLAN} .o_data_row:nth-child({number}) button[name=action_open_plan]", DIALOG)
    browser.click(f"{DIALOG} .o_field_x2many_list_row_add a")
    browser.see(f"{DIALOG} .modal-title", "Create Deliverables")
    fill_dialog(browser, "name", name)
    fill_dialog(browser, "acceptance_criteria", criteria)
    close_dialog(browser, ".o_form_button_save")
    close_dialog(browser, ".o_form_button_save")


def write_requirements(browser, requirements):
    """Write down rows of statement, priority and the deliverable that meets it."""
    open_tab(browser, "requirements", f"{REQUIREMENTS} .o_field_x2many_list_row_add")
    for number, (statement, priority, deliverable) in enumerate(requirements, 1):
        row = add_row(browser, REQUIREMENTS, number)
        browser.fill(f"{row} [name=statement] {TEXT}", statement)
        select(browser, f"{row} [name=priority]", priority)
        pick(browser, f"{row} [name=deliverable_ids]", deliverable, deliverable)
    save(browser)


def send_proposal(browser):
    """Send the quotation by e-mail, as it is proposed."""
    browser.click("button[name=action_quotation_send]", f"{DIALOG} .o_mail_send")
    close_dialog(browser, ".o_mail_send")


def open_order(browser, order, then=".o_form_view .o_form_sheet"):
    browser.go(f"/odoo/sales/{order}", then, FORM)


def change_plan(browser, number, day, amount):
    """Write another date and amount into a row of the plan."""
    open_tab(browser, "milestones", PLAN)
    row = f"{PLAN} .o_data_row:nth-child({number})"
    browser.click(f"{row} [name=name]", f"{row}.o_selected_row")
    fill_date(browser, f"{row} [name=contract_date]", day)
    browser.fill(f"{row} [name=amount_untaxed] input", amount)
    save(browser)


def countersign(browser):
    """Sign for the company, with the name as signature."""
    browser.click("button[name=action_countersign]", f"{DIALOG} .o_signature_empty")
    browser.click(f"{DIALOG} .o_signature_empty", f"{DIALOG} canvas.o_web_sign_signature")
    close_dialog(browser, ".modal-footer .btn-primary")
    browser.see(f"{DIALOG} img.o_signature")
