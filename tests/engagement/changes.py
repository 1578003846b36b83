"""What the salesperson makes of a change request."""

from tests.engagement.backend import DIALOG, FORM, close_dialog, fill_date, fill_dialog, open_tab, save
from tests.engagement.delivery import see_state

LINES = ".o_field_widget[name=line_ids]"


def open_request(browser, order):
    """Open the only change request of an order."""
    browser.go(f"/odoo/sales/{order}", "button[name=action_view_change_requests]", FORM)
    browser.click("button[name=action_view_change_requests]", ".o_data_row")
    browser.click(".o_data_row .o_data_cell[name=title]", ".o_form_view [name=title]")


def price(browser, effort, amount, day):
    """Say what the change of the milestone costs, and when it is done then."""
    browser.fill("[name=effort_hours] input", effort)
    browser.click(f"{LINES} .o_data_row .o_data_cell[name=milestone_id]", f"{DIALOG} [name=amount]")
    fill_dialog(browser, "amount", amount)
    fill_date(browser, f"{DIALOG} [name=new_date]", day)
    close_dialog(browser, ".o_form_button_save")
    save(browser)
    open_tab(browser, "impact", ".o_field_widget[name=impact_html]")


def open_waiting(browser, title):
    """Open a request that waits for a decision from the list of all."""
    browser.go("/odoo/action-milestone_billing.sale_change_request_action_open", ".o_data_row, .o_kanban_record", FORM)
    browser.click(".o_data_cell[name=title], .o_kanban_record", text=title)
    browser.see(".o_form_view button[name=action_internal_approve]")


def present(browser):
    browser.click("button[name=action_submit]")
    see_state(browser, "Internal Review")
