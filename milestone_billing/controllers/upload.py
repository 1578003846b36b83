from odoo.exceptions import ValidationError
from odoo.tools.mimetypes import guess_mimetype

MAX_FILES = 10
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_FILE_NAME = 200
# What a browser or a computer would run instead of showing it.
# fmt: off
REFUSED_ENDINGS = frozenset([
    "apk", "app", "bat", "bin", "cgi", "chm", "cmd", "com", "cpl", "dll", "dmg", "exe", "gadget", "hta",
    "htm", "html", "iso", "jar", "js", "jse", "lnk", "mht", "mhtml", "mjs", "msc", "msi", "msp", "php", "pif",
    "pl", "ps1", "py", "reg", "scr", "sh", "shtml", "svg", "svgz", "swf", "url", "vb", "vbe", "vbs", "wsf",
    "wsh", "xht", "xhtml", "xml", "xsl", "xslt",
])
# fmt: on
REFUSED_STARTS = (b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"<?xml", b"<!doctype")
REFUSED_TAGS = (b"<html", b"<svg", b"<script", b"<body", b"<iframe")


def read_files(env, storages):
    """Check files that a browser sent.

    :param storages: werkzeug's uploads; empty ones are left out
    :return: list of dicts of ``name``, ``raw`` and ``mimetype``
    :raises ValidationError: when there are too many, one is too large, or something that would be run
    """
    storages = [storage for storage in storages if storage.filename]
    if len(storages) > MAX_FILES:
        raise ValidationError(env._("At most %(count)s files can be sent at once.", count=MAX_FILES))
    return [_read_file(env, storage) for storage in storages]


def _read_file(env, storage):
    name = " ".join(storage.filename.replace("\x00", "").replace("\\", "/").split("/")[-1].split())[-MAX_FILE_NAME:]
    content = storage.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValidationError(
            env._("%(file)s is too large: at most %(size)s MB.", file=name, size=MAX_FILE_BYTES // 1024 // 1024)
        )
    if not content:
        raise ValidationError(env._("%(file)s is empty.", file=name))
    if not name or _would_be_run(name, content):
        raise ValidationError(
            env._(
                "%(file)s cannot be sent: web pages, SVG drawings and programs are refused. "
                "Send a PDF, a picture or a ZIP archive instead.",
                file=name,
            )
        )
    return {"name": name, "raw": content, "mimetype": guess_mimetype(content, default="application/octet-stream")}


def _would_be_run(name, content):
    # every ending counts: "plan.html.pdf " and "plan.svg." are known tricks
    endings = {ending.strip().lower() for ending in name.split(".")[1:]}
    start = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return (
        not endings.isdisjoint(REFUSED_ENDINGS)
        or content.startswith(REFUSED_STARTS)
        or start.startswith(REFUSED_STARTS)
        or any(tag in start for tag in REFUSED_TAGS)
    )
