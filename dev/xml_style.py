"""How our XML looks: the declaration first, four spaces a level, nothing at line ends.

Only lines that begin with a tag or a comment are judged; attributes on lines of their own
move along with their tag. Text stays where it is (it may be Python), and nothing is joined
or split, so that every document keeps its meaning.
"""

import re
import xml.parsers.expat
from collections.abc import Iterator
from pathlib import Path

from dev import settings

DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'
INDENT = 4
# Elements whose white space means something.
VERBATIM = {"pre", "script", "style", "textarea"}


class Layout:
    """The nesting depth of every line that begins with a tag or comment, and where text is."""

    def __init__(self, text: str):
        self.lines = text.split("\n")
        self.depths: dict[int, int] = {}  # by line number, from 0
        self.text_lines: set[int] = set()  # lines that begin with text
        self.depth = 0
        self.verbatim = 0
        parser = xml.parsers.expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CommentHandler = self.comment
        parser.CharacterDataHandler = self.text
        self.parser = parser
        parser.Parse(text.encode(), True)

    def begun_line(self) -> int | None:
        """The line of which the present piece is the beginning."""
        line, column = self.parser.CurrentLineNumber - 1, self.parser.CurrentColumnNumber
        return None if self.lines[line][:column].strip() else line

    def note(self) -> None:
        line = self.begun_line()
        if line is not None and not self.verbatim:
            self.depths.setdefault(line, self.depth)

    def text(self, piece: str) -> None:
        if piece.strip():
            self.text_lines.add(self.begun_line())

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.note()
        self.depth += 1
        if self.verbatim or name in VERBATIM or attributes.get("xml:space") == "preserve":
            self.verbatim += 1

    def end(self, name: str) -> None:
        self.depth -= 1
        if self.verbatim:
            self.verbatim -= 1
        self.note()

    def comment(self, text: str) -> None:
        self.note()


def tidy(text: str) -> str:
    """The same document in our style; raises ExpatError when it is not well formed."""
    body = re.sub(r"\A\s*<\?xml[^>]*\?>\s*", "", text.replace("\r\n", "\n"))
    text = f"{DECLARATION}\n{body.rstrip()}\n"
    layout = Layout(text)
    lines, shift, verbatim = text.split("\n"), 0, verbatim_lines(text)
    for number, line in enumerate(lines):
        if number in verbatim:
            continue
        line = line.rstrip()
        if number in layout.depths:
            bare = line.lstrip()
            indent = INDENT * layout.depths[number]
            shift = indent - (len(line) - len(bare))
            line = " " * indent + bare
        elif line and number not in layout.text_lines:
            line = move(line, shift)
        lines[number] = line
    return "\n".join(lines)


def move(line: str, shift: int) -> str:
    """A line that goes on from the one before moves along with it."""
    bare = line.lstrip()
    return " " * max(0, len(line.expandtabs(INDENT)) - len(bare.expandtabs(INDENT)) + shift) + bare


def verbatim_lines(text: str) -> set[int]:
    """Numbers of the lines inside elements whose white space means something, or in CDATA."""
    found: set[int] = set()
    tags = "|".join(VERBATIM)
    blocks = rf"<({tags})\b[^>]*(?<!/)>.*?</\1>|<!\[CDATA\[.*?\]\]>"
    preserved = r"<([\w.]+)\b[^>]*xml:space=\"preserve\"[^>]*(?<!/)>.*?</\1>"
    for pattern in (blocks, preserved):
        for match in re.finditer(pattern, text, re.DOTALL):
            first = text.count("\n", 0, match.start())
            last = text.count("\n", 0, match.end())
            found.update(range(first + 1, last + 1))
    return found


def files() -> Iterator[Path]:
    for addon in settings.addons():
        yield from sorted(addon.rglob("*.xml"))


def complaints() -> list[str]:
    """One line for each file that is not in our style."""
    found = []
    for path in files():
        name = path.relative_to(settings.ROOT)
        text = path.read_text()
        try:
            tidied = tidy(text)
        except xml.parsers.expat.ExpatError as error:
            found.append(f"{name}: {error}")
            continue
        pairs = zip(text.split("\n"), tidied.split("\n"), strict=False)
        if text != tidied:
            line = next((at for at, (old, new) in enumerate(pairs, 1) if old != new), "end")
            found.append(f"{name}:{line}: not in shape, `make format` puts it right")
    return found


def apply() -> list[Path]:
    """Bring the files into shape; returns those that were changed."""
    changed = []
    for path in files():
        text = path.read_text()
        tidied = tidy(text)
        if text != tidied:
            path.write_text(tidied)
            changed.append(path)
    return changed
