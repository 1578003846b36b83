"""What the client does, without an account."""


def write_modifications(browser, words):
    browser.click("[data-bs-target='#modalmodifications']", "#modalmodifications.show")
    browser.fill("#modifications_text", words)


def send_modifications(browser):
    browser.click("#modifications button[type=submit]")
    browser.see(".alert-success", "Your wishes have reached the team")


def open_signature(browser, dialog):
    """Open the dialog of the signature, which already shows a typed name."""
    browser.click(f"[data-bs-target='{dialog}']", f"{dialog}.show canvas.o_web_sign_signature")


def sign(browser, dialog, name):
    browser.fill(f"{dialog} .o_web_sign_name_and_signature input", name)
    browser.click(f"{dialog} .o_portal_sign_submit")


def request_change(browser, name, title, milestone, reason):
    """Fill in the form that the page of the order leads to; leave it to the caller to send it."""
    browser.click("#order_request_change", "#change_request_form")
    browser.fill("#change_name", name)
    browser.fill("#change_title", title)
    browser.choose("#change_milestone", milestone)
    browser.fill("#change_reason", reason)


def send_change_request(browser):
    browser.click("#change_request_form button[type=submit]", "#change_raised")
