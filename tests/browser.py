"""Chromium for the system tests and the pictures of the documents, and people who use it.

It is driven through its debugging protocol, with the mouse and the keyboard of a person: what
is hidden, covered or disabled cannot be clicked. Nothing sleeps; everything waits for a condition.
"""

import base64
import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket
from PIL import Image

PICTURES = Path(__file__).resolve().parent.parent / "docs/pictures"
PROGRAMS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
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
# The chat has a port of its own where Odoo has workers; a proxy would lead there.
NOT_SERVED = ("/websocket",)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27}

# Everything is there and nothing moves any more.
SETTLED = """
document.readyState === 'complete' && document.fonts.status === 'loaded'
&& [...document.images].every((image) => image.complete || image.loading === 'lazy')
&& !document.querySelector('.o_blockUI, .o_loading_indicator, .modal.fade:not(.show)[style*=block]')
&& document.getAnimations().every((animation) =>
    animation.playState !== 'running' || animation.effect.getComputedTiming().endTime === Infinity)
"""
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
# How high the page would like to be, whichever part of it scrolls.
WANTED_HEIGHT = """
Math.max(...[...document.querySelectorAll('.o_content, .settings, #wrapwrap')].map(
    (part) => window.innerHeight + part.scrollHeight - part.clientHeight
))
"""
# What a person sees of the first element with this text, in one line.
FIND = """
(selector, text) => [...document.querySelectorAll(selector)].find((element) =>
    element.checkVisibility({visibilityProperty: true})
    && (!text || (element.innerText || '').replace(/\\s+/g, ' ').includes(text)))
"""
# Where to click, or nothing while something is in the way.
TARGET = """
(element) => {
    if (!element || element.disabled) return null;
    element.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
    const box = element.getClientRects()[0];
    if (!box) return null;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const top = document.elementFromPoint(x, y);
    return top && (element.contains(top) || top.contains(element) && top.matches('label, a, button')) ? [x, y] : null;
}
"""


class NotSeen(AssertionError):
    """What a person waited for did not come."""


class Browser:
    """Chromium with one page: a context manager."""

    def __init__(self, url, name="browser"):
        self.url = url
        self.name = name
        self.number = 0
        self.problems = []
        self.requests = {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise SystemExit("No Chromium was found: install it, or name it with CHROMIUM.")
        self.process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={self.folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lift_memory_limit,
        )
        try:
            self.socket = websocket.create_connection(self.find_page(), timeout=SECONDS)
            for domain in ("Page", "Runtime", "Network"):
                self.call(f"{domain}.enable")
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

    # -- the protocol ------------------------------------------------------------------------------------

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            if "method" in message:
                self.notice(message["method"], message["params"])

    def notice(self, event, params):
        """Keep what went wrong: errors of scripts and of the console, failed requests. Answer what blocks the page."""
        if event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complain(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            parts = [str(part.get("value", part.get("description", ""))) for part in params["args"]]
            self.complain(f"console: {' '.join(parts)}")
        elif event == "Network.requestWillBeSent":
            self.requests[params["requestId"]] = params["request"]["url"]
        elif event == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.complain(f"{params['response']['status']} {params['response']['url']}")
        elif event == "Network.loadingFailed" and not params.get("canceled"):
            self.complain(f"{params['errorText']} {self.requests.get(params['requestId'], '')}")
        elif event == "Page.javascriptDialogOpening":
            # a page asks whether to leave it: yes; nobody waits for the answer to this
            answer = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self.socket.send(json.dumps(answer))

    def complain(self, problem):
        if not any(path in problem for path in NOT_SERVED):
            self.problems.append(problem)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def look(self, expression):
        """Return the value of an expression; nothing while the page gives way to the next one."""
        try:
            return self.evaluate(expression)
        except RuntimeError as error:
            if any(words in str(error) for words in ("navigated", "context", "Cannot read properties of null")):
                return None
            raise

    # -- looking -----------------------------------------------------------------------------------------

    def find(self, selector, text=""):
        """Return the expression of the first visible element with this text."""
        return f"({FIND})({json.dumps(selector)}, {json.dumps(text)})"

    def has(self, selector, text=""):
        return bool(self.look(f"!!{self.find(selector, text)}"))

    def text(self, selector):
        """Return what stands in an element, in one line."""
        self.see(selector)
        return " ".join(self.evaluate(f"{self.find(selector)}.innerText").split())

    def see(self, selector, text=""):
        """Wait for an element, with a text in it, and until nothing moves any more."""
        wait(lambda: self.has(selector, text), lambda: f"{selector} {text!r} {self.describe()}")
        wait(lambda: self.look(SETTLED), lambda: f"the page to settle {self.describe()}")

    def miss(self, selector, text=""):
        """Wait until an element is gone."""
        wait(lambda: not self.has(selector, text), lambda: f"the end of {selector} {text!r} {self.describe()}")

    def describe(self):
        return f"({self.name}, on {self.look('location.href')})"

    # -- acting ------------------------------------------------------------------------------------------

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
        self.call("Page.navigate", url=path if path.startswith("http") else f"{self.url}{path}")
        self.see(selector)

    def click(self, selector, then=None, text=""):
        """Click where a person would, once nothing is in the way; wait for what comes then."""
        place = self.aim(selector, text)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, *place)
        if then:
            self.see(then)

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def aim(self, selector, text):
        """Return where an element is, as soon as it rests there and can be clicked."""
        seen = []

        def rests():
            seen.append(self.look(f"({TARGET})({self.find(selector, text)})"))
            if not seen[-1]:
                self.mouse("mouseMoved", 0, 0)  # it may be a tooltip that covers it
            return len(seen) > 1 and seen[-1] and seen[-1] == seen[-2] and self.look(SETTLED)

        wait(rests, lambda: f"{selector} {text!r} to be clicked {self.describe()}")
        return seen[-1]

    def fill(self, selector, value):
        """Put a text into a field, in place of what is there, as by the keyboard."""
        self.click(selector)
        field = self.find(selector)
        wait(
            lambda: self.look(f"document.activeElement === {field} && (document.activeElement.select(), true)"),
            lambda: f"the cursor in {selector} {self.describe()}",
        )
        self.call("Input.insertText", text=str(value))
        wait(
            lambda: self.look(f"{field}.value === {json.dumps(str(value))}"),
            lambda: f"{value!r} in {selector} {self.describe()}",
        )

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def choose(self, selector, label):
        """Choose from a list of the page (its own window is no part of the page)."""
        self.see(selector)
        self.evaluate(
            f"((list) => {{ list.value = [...list.options].find((option) => option.text.trim() === {json.dumps(label)})"
            f".value; list.dispatchEvent(new Event('change', {{bubbles: true}})); }})({self.find(selector)})"
        )

    # -- pictures ----------------------------------------------------------------------------------------

    def stretch(self, size=DESKTOP, limit=1600):
        """Make the window as high as its content, so that nothing has to be scrolled."""
        for _turn in range(2):
            self.size(size[0], min(self.evaluate(WANTED_HEIGHT), limit))
            self.evaluate(FRAMES)
            wait(lambda: self.look(SETTLED), lambda: f"the page to settle {self.describe()}")

    def box(self, selector):
        """Return the rectangle of an element on the page, in the form that `shoot` takes."""
        return self.evaluate(
            f"(({{x, y, width, height}}) => ({{x: x + scrollX, y: y + scrollY, width, height, scale: 1}}))"
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

    def capture(self, clip=None):
        """Return a picture of the window, or of a part of it."""
        options = {"clip": clip} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def shoot(self, name, clip=None):
        """Keep a picture with few colours: small and sharp."""
        self.evaluate("document.activeElement && document.activeElement.blur()")
        picture = self.capture(clip)
        path = PICTURES / f"{name}.png"
        picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        size = f"{picture.width} x {picture.height}, {path.stat().st_size // 1024} kB"
        print(f"    {path.name:<28} {size}", flush=True)


def lift_memory_limit():
    """Let Chromium reserve as many addresses as it likes; Odoo limits those of a test run."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


class Client:
    """Somebody who is logged in, in the browser."""

    def __init__(self, browser, database, login, password):
        self.browser = browser
        browser.call("Storage.clearDataForOrigin", origin=browser.url, storageTypes="cookies,local_storage")
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


def wait(condition, what, seconds=SECONDS):
    """Wait until a condition holds.

    :param what: what is waited for, in words, or a function that returns them
    :raises NotSeen: when it does not hold in time
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise NotSeen(f"Waited {seconds} seconds for {what() if callable(what) else what}.")
        time.sleep(0.05)
    return result
