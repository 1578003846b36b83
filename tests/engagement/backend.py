"""What employees do on every form of Odoo."""

import contextlib

from tests.browser import NotSeen, wait

DIALOG = ".modal:not(.o_inactive_modal)"
FORM = (1200, 900)
TEXT = ":is(input, textarea)"


def click_until(browser, selector, then):
    """Click until what is to come is there: a form that draws itself anew meanwhile loses a click."""
    for _attempt in range(3):
        browser.click(selector)
        with contextlib.suppress(NotSeen):
            return wait(lambda: browser.has(then), then, 10)
    return browser.see(then)


def open_tab(browser, name, then):
    click_until(browser, f".o_form_view a[name={name}]", then)


def save(browser):
    browser.click(".o_form_view .o_form_button_save")
    browser.miss(".o_form_view .o_form_button_save")


def pick(browser, field, typed, label):
    """Choose a record by typing a part of its name."""
    browser.fill(f"{field} input", typed)
    browser.click(".o-autocomplete--dropdown-item a", text=label)


def select(browser, field, label):
    """Choose from the list of a field."""
    browser.click(f"{field} input")
    browser.click(".o_select_menu_item", text=label)
    browser.miss(".o_select_menu_item")


def add_row(browser, field, number):
    """Add a row to an editable list and return its selector."""
    row = f"{field} .o_data_row:nth-child({number}).o_selected_row"
    click_until(browser, f"{field} .o_field_x2many_list_row_add a", row)
    return row


def fill_date(browser, field, value):
    """Fill a date, which is a button until it is clicked."""
    browser.click(field)
    browser.fill(f"{field} input", value)
    browser.press("Tab")


def fill_dialog(browser, name, value):
    browser.fill(f"{DIALOG} [name={name}] {TEXT}", value)


def close_dialog(browser, button):
    """Choose a button of the dialog in front and wait until that dialog is gone."""
    title = browser.text(f"{DIALOG} .modal-title")
    browser.click(f"{DIALOG} {button}")
    browser.miss(f"{DIALOG} .modal-title", title)


def confirm(browser):
    """Say yes to the question in front."""
    browser.click(f"{DIALOG} .modal-footer .btn-primary")
    browser.miss(DIALOG)
