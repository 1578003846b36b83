"""What the documents say is what the code does."""

import csv
import re
from pathlib import Path

from dev import measuring

ROOT = Path(__file__).resolve().parent.parent
SIGNS = {"yes": "●", "no": "·"}


def render_rights():
    """Return the table of roles and operations that the addon's tests play, as Markdown."""
    with (ROOT / "milestone_billing/tests/rights.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    operations = [row[0] for row in rows[1:]]
    lines = ["| | " + " | ".join(str(number) for number in range(1, len(operations) + 1)) + " |"]
    lines.append("| --- |" + " :-: |" * len(operations))
    for column, role in enumerate(rows[0][1:], 1):
        signs = " | ".join(SIGNS[row[column]] for row in rows[1:])
        lines.append(f"| {role.replace('_', ' ')} | {signs} |")
    legend = [f"{number}. {operation}" for number, operation in enumerate(operations, 1)]
    return "\n".join(legend) + "\n\n" + "\n".join(lines)


def test_the_published_rights_are_the_tested_ones():
    document = (ROOT / "docs/rights.md").read_text(encoding="utf-8")
    assert render_rights() in document, f"docs/rights.md should contain:\n\n{render_rights()}"


def test_links_between_documents_lead_somewhere():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_published_journal_entries_are_those_that_the_program_makes():
    made, published = measuring.made_entries(), measuring.published_entries()
    assert made == published, "docs/accountant.md is behind: run `make journal-entries`"
