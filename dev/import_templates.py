"""The spreadsheets that people fill in to import a milestone plan, or requirements.

Run ``python3 -m dev.import_templates`` with openpyxl, which Odoo itself needs, after a change.
"""

import csv
import datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

FOLDER = Path(__file__).resolve().parent.parent / "milestone_billing" / "static" / "xls"
HEADERS = [
    "Name",
    "Contract Date",
    "Untaxed Amount",
    "After (Names)",
    "Deliverables / Deliverable",
    "Deliverables / Acceptance Criteria",
]
ROWS = [
    ["Design", "2027-01-31", 12000.00, "", "Wireframes of all pages", "Every page of the site map is shown"],
    ["", "", "", "", "Style guide", "Colours pass the contrast check"],
    ["Build", "2027-04-30", 24500.50, "Design", "Website on the test server", "All pages load within 2 seconds"],
    ["", "", "", "", "Test report", "No open defect of severity 1 or 2"],
    ["Launch", "2027-05-31", 8500.00, "Design; Build", "Website in production", "Reachable under its own name"],
]

REQUIREMENT_HEADERS = [
    "Reference",
    "Statement",
    "Kind",
    "Priority",
    "Acceptance Criteria",
    "Source",
    "Met By (Names)",
]
REQUIREMENT_ROWS = [
    [
        "R1",
        "Every page works on a phone",
        "Quality (Non-functional)",
        "Must",
        "No page scrolls sideways",
        "Workshop",
        "",
    ],
    ["R2", "A customer can pay by card", "Functional", "Must", "A test payment arrives", "Interviews", ""],
    ["R3", "Stock comes from the warehouse system", "Interface", "Should", "", "Tender, section 4", ""],
    ["R4", "Customers discuss in a forum", "Functional", "Won't", "", "", ""],
]


def write_csv(path: Path, headers: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headers, *rows])


def write_xlsx(path: Path, title: str, headers: list[str], rows: list[list], orders: tuple[str, ...] = ()) -> None:
    """Write the rows, or all of them per order with the order's name in the first column."""
    book = Workbook()
    book.properties.created = book.properties.modified = datetime.datetime(2026, 1, 1)
    sheet = book.active
    sheet.title = title
    sheet.append(["Order", *headers] if orders else headers)
    for order in orders or ("",):
        for row in rows:
            cells = [read_date(cell) or cell or None for cell in row]
            sheet.append([order if row[0] else None, *cells] if orders else cells)
    for number, column in enumerate(sheet.columns, 1):
        sheet.column_dimensions[get_column_letter(number)].width = (
            max(len(str(cell.value or "")) for cell in column) + 2
        )
        for cell in column:
            cell.alignment = Alignment(vertical="top")
            if isinstance(cell.value, float):
                cell.number_format = "0.00"
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    book.save(path)


def read_date(cell: object) -> datetime.date | None:
    """Return the date that a cell says, or None."""
    try:
        return datetime.date.fromisoformat(str(cell))
    except ValueError:
        return None


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    plan = ("Milestones", HEADERS, ROWS)
    requirements = ("Requirements", REQUIREMENT_HEADERS, REQUIREMENT_ROWS)
    write_csv(FOLDER / "milestone_plan.csv", *plan[1:])
    write_xlsx(FOLDER / "milestone_plan.xlsx", *plan)
    write_xlsx(FOLDER / "milestone_plans.xlsx", *plan, orders=("S00001", "S00002"))
    write_csv(FOLDER / "requirements.csv", *requirements[1:])
    write_xlsx(FOLDER / "requirements.xlsx", *requirements)
    write_xlsx(FOLDER / "requirements_orders.xlsx", *requirements, orders=("S00001", "S00002"))


if __name__ == "__main__":
    main()
