"""Take the pictures of the documents from a served demo; `make screenshots` calls it.

The environment says where: ODOO_URL, ODOO_DB, and ODOO_GUIDE, the JSON file with what the
story of the demo returned (logins, pages). CHROMIUM may name another browser. The pictures
go to docs/pictures, two of them also to the addon's own page.
"""

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket
from PIL import Image

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
DESCRIPTION = HERE.parent / "milestone_billing/static/description"
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
SECONDS = 60
DESKTOP = (1200, 800)
PHONE = (375, 760)
BOARD = (1755, 800)  # five columns

# Everything is there and nothing moves any more.
SETTLED = """
document.readyState === 'complete' && document.fonts.status === 'loaded'
&& [...document.images].every((image) => image.complete || image.loading === 'lazy')
&& !document.querySelector('.o_blockUI, .o_loading_indicator, .modal.fade:not(.show)[style*=block]')
"""
# Groups of a list that are not unfolded.
CLOSED = ".o_group_header:not(.o_group_open)"
# How high the page would like to be, whichever part of it scrolls.
WANTED_HEIGHT = """
Math.max(...[...document.querySelectorAll('.o_content, .settings, #wrapwrap')].map(
    (part) => window.innerHeight + part.scrollHeight - part.clientHeight
))
"""


class Browser:
    """Chromium, driven through its debugging protocol: a context manager."""

    def __init__(self, url):
        self.url = url
        self.number = 0

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
        if not program:
            raise SystemExit("No Chromium was found: install it, or name it with CHROMIUM.")
        self.process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={self.folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.socket = websocket.create_connection(self.find_page(), timeout=SECONDS)
            self.call("Page.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def find_page(self):
        """Return the address at which the browser lets itself be driven."""
        published = Path(self.folder.name, "DevToolsActivePort")
        wait(lambda: published.exists() and published.read_text().strip(), "the browser")
        port = published.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=SECONDS) as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"]

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def has(self, selector):
        return self.evaluate(f"!!document.querySelector({json.dumps(selector)})")

    def size(self, width, height):
        """Set the size of the window; every picture is 750 (phones) or about 1200 pixels wide."""
        is_phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if is_phone else min(1, 1280 / width),
            mobile=is_phone,
        )

    def go(self, path, selector, size=DESKTOP):
        """Open a page and wait for what is to be seen on it."""
        self.size(*size)
        self.call("Page.navigate", url=f"{self.url}{path}")
        self.see(selector)

    def see(self, selector):
        wait(lambda: self.has(selector), f"{selector} on {self.evaluate('location.href')}")
        wait(lambda: self.evaluate(SETTLED), f"{self.evaluate('location.href')} to settle")
        time.sleep(0.8)  # transitions

    def click(self, selector, then):
        self.see(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        self.see(then)

    def stretch(self, size=DESKTOP, limit=1600):
        """Make the window as high as its content, so that nothing has to be scrolled."""
        for _turn in range(2):
            self.size(size[0], min(self.evaluate(WANTED_HEIGHT), limit))
            time.sleep(0.5)

    def box(self, selector):
        """Return the rectangle of an element, in the form that `shoot` takes."""
        return self.evaluate(
            f"(({{x, y, width, height}}) => ({{x, y, width, height, scale: 1}}))"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )

    def above(self, selector, gap=0):
        """Return the rectangle of the window down to the top of an element."""
        box = self.box(selector)
        return {
            **box,
            "x": 0,
            "y": 0,
            "width": self.evaluate("window.innerWidth"),
            "height": box["y"] - gap,
        }

    def down_to(self, selector, gap=24):
        """Return the rectangle of the window down to the bottom of an element."""
        return self.above(selector, gap=-self.box(selector)["height"] - gap)

    def around(self, selector, gap=16):
        """Return the rectangle of an element with some of what is around it."""
        box = self.box(selector)
        return {
            **box,
            "x": max(box["x"] - gap, 0),
            "y": max(box["y"] - gap, 0),
            "width": box["width"] + 2 * gap,
            "height": box["height"] + 2 * gap,
        }

    def shoot(self, name, clip=None):
        """Keep a picture of the window, or of a part of it, with few colours: small and sharp."""
        self.evaluate("document.activeElement && document.activeElement.blur()")
        options = {"clip": clip} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        path = PICTURES / f"{name}.png"
        picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        size = f"{picture.width} x {picture.height}, {path.stat().st_size // 1024} kB"
        print(f"    {path.name:<28} {size}", flush=True)


class Client:
    """Somebody who is logged in, in the browser."""

    def __init__(self, browser, database, login, password):
        self.browser = browser
        browser.call("Network.clearBrowserCookies")
        browser.go("/web/login", "form.oe_login_form")
        params = {"db": database, "login": login, "password": password}
        if not self.post("/web/session/authenticate", params).get("uid"):
            raise SystemExit(f"{login} cannot log in.")

    def post(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        answer = self.browser.evaluate(
            f"fetch({json.dumps(path)}, {{method: 'POST', headers: {{'Content-Type': 'application/json'}},"
            f"body: {json.dumps(body)}}}).then((answer) => answer.json())"
        )
        if "error" in answer:
            raise RuntimeError(f"{path}: {answer['error']['data']['message']}")
        return answer["result"]

    def call(self, model, method, *args, **kwargs):
        """Call a method of a model as this user."""
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self.post(f"/web/dataset/call_kw/{model}/{method}", params)

    def find(self, model, domain):
        """Return the id of the first record, which must be there."""
        found = self.call(model, "search", domain, limit=1)
        if not found:
            raise SystemExit(f"There is no {model} with {domain}.")
        return found[0]


def wait(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {SECONDS} seconds for {what}.")
        time.sleep(0.1)


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
    for _level in range(2):
        browser.evaluate(f"document.querySelectorAll('{CLOSED}').forEach((row) => row.click())")
        browser.see(".o_group_open")
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
