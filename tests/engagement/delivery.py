"""What the project manager does, and who submits a milestone."""

from tests.engagement.backend import DIALOG, FORM, close_dialog, fill_dialog, open_tab, save

PROJECT = "/odoo/action-project.open_view_project_all_config"
CHECKLIST = ".o_field_widget[name=milestone_checklist]"


def open_kickoff(browser, project):
    browser.go(f"{PROJECT}/{project}", ".o_form_view", FORM)
    open_tab(browser, "milestone_kickoff", CHECKLIST)


def open_meeting(browser):
    """Look at the kickoff that the confirmation proposed."""
    browser.click("button[name=action_plan_kickoff]", ".o_form_view [name=partner_ids]")


def open_milestone(browser, milestone, state):
    browser.go(f"/odoo/milestones/{milestone}", ".o_form_view", FORM)
    see_state(browser, state)


def see_state(browser, state):
    browser.see(".o_statusbar_status .o_arrow_button_current", state)


def start(browser):
    browser.click("button[name=action_start]")
    see_state(browser, "In Progress")


def link_work(browser, url):
    """Say where the work of the only deliverable is to be seen."""
    browser.click(".o_field_widget[name=deliverable_ids] .o_data_cell[name=name]", DIALOG)
    fill_dialog(browser, "url", url)
    close_dialog(browser, ".o_form_button_save")
    save(browser)


def submit(browser):
    browser.click("button[name=action_submit]")
    see_state(browser, "Internal Review")


def review(browser):
    """Approve inside what somebody else submitted."""
    browser.click("button[name=action_internal_approve]")
    see_state(browser, "With the Client")
