"""A mail server that keeps what it is given: what people of a system test find in their mail."""

import email
import email.policy
import re
import socketserver
import threading
from email.utils import getaddresses

from lxml import html

from tests.browser import wait

GREETING = b"220 mailbox\r\n"
ANSWERS = {"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}
DONE = b"250 OK\r\n"


class Mailbox:
    """Takes mail over SMTP on a port of its own: a context manager."""

    def __enter__(self):
        self.mails = []
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self.make_handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self.server.shutdown()
        self.server.server_close()

    def make_handler(self):
        mails = self.mails

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(GREETING)
                recipients = []
                for line in self.rfile:
                    command = line.decode(errors="replace").strip()
                    verb = command[:4].upper()
                    if verb == "RCPT":
                        recipients += re.findall(r"<(.*?)>", command)
                    self.wfile.write(ANSWERS.get(verb, DONE))
                    if verb == "DATA":
                        mails.append(Mail(self.read_content(), recipients))
                        recipients = []
                        self.wfile.write(DONE)
                    elif verb == "QUIT":
                        return

            def read_content(self):
                lines = iter(self.rfile.readline, b".\r\n")
                return b"".join(line[1:] if line.startswith(b"..") else line for line in lines)

        return Conversation

    def wait_for(self, recipient, subject):
        """Return the first mail to somebody, not read yet, with these words in its subject."""

        def arrived():
            return next((mail for mail in self.mails if not mail.is_read and mail.is_for(recipient, subject)), None)

        mail = wait(arrived, lambda: f"a mail {subject!r} to {recipient} among {self.list_mails(recipient)}")
        mail.is_read = True
        return mail

    def list_mails(self, recipient):
        return [
            (mail.subject, "read" if mail.is_read else "new") for mail in self.mails if recipient in mail.recipients
        ]


class Mail:
    """A mail as its reader sees it."""

    def __init__(self, content, recipients):
        self.message = email.message_from_bytes(content, policy=email.policy.default)
        self.recipients = [address for _name, address in getaddresses(recipients)]
        self.subject = str(self.message["Subject"])
        self.is_read = False

    def is_for(self, recipient, subject):
        return recipient in self.recipients and subject in self.subject

    @property
    def page(self):
        return html.fromstring(self.message.get_body(("html",)).get_content())

    @property
    def text(self):
        shown = re.sub("[\u034f\u200b-\u200f]", "", self.page.text_content())  # what fills the preview of the mail
        return " ".join(shown.split())

    @property
    def attachments(self):
        return [part.get_filename() for part in self.message.iter_attachments()]

    def get_link(self, words):
        """Return the address of the link with these words."""
        links = {" ".join(link.text_content().split()): link.get("href") for link in self.page.iter("a")}
        found = [address for label, address in links.items() if words in label]
        assert found, f"no link {words!r} among {links} in {self.subject!r}"
        return found[0]
