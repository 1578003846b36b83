"""The translation templates of our addons, made by Odoo's own export."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dev import settings, templates
from dev.console import Problem, run_step, say
from dev.files import lock, write
from dev.installation import Installation, environment, set_up

DATABASE = f"{settings.DATABASE_PREFIX}_i18n"
# Lines of the header that change with every export.
DATES = re.compile(r'^"(POT-Creation-Date|PO-Revision-Date):.*\n', re.MULTILINE)


def template_of(addon: Path) -> Path:
    return addon / "i18n" / f"{addon.name}.pot"


def export() -> None:
    """Export the translation template and merge it into the translations."""
    for addon, text in exported(set_up()).items():
        template = template_of(addon)
        if is_same(template, text):
            say(f"{template.relative_to(settings.ROOT)} is up to date.")
            continue
        write(template, text)
        say(f"{template.relative_to(settings.ROOT)} is written.")
        merge(template)


def merge(template: Path) -> None:
    """Bring new terms into the translations that exist."""
    translations = sorted(template.parent.glob("*.po"))
    if translations and not shutil.which("msgmerge"):
        raise Problem("msgmerge is missing: install gettext to bring new terms into translations.")
    for translation in translations:
        options = ("--update", "--quiet", "--backup=none", "--no-fuzzy-matching")
        subprocess.run(["msgmerge", *options, translation, template], check=True)
        say(f"{translation.relative_to(settings.ROOT)} is merged.")


def complaints(installation: Installation) -> list[str]:
    """One line for each template that is not what Odoo exports now."""
    return [
        f"{template_of(addon).relative_to(settings.ROOT)}: out of date, run `make pot`"
        for addon, text in exported(installation).items()
        if not is_same(template_of(addon), text)
    ]


def is_same(template: Path, text: str) -> bool:
    return template.exists() and DATES.sub("", template.read_text()) == DATES.sub("", text)


def exported(installation: Installation) -> dict[Path, str]:
    """What Odoo exports for each addon from a fresh database."""
    texts = {}
    with lock("translation export"), tempfile.TemporaryDirectory() as folder:
        installation.databases.copy(templates.with_addon(installation), DATABASE)
        for addon in settings.addons():
            output = Path(folder) / f"{addon.name}.pot"
            command = installation.odoo_command("i18n", "export")
            command += [f"--database={DATABASE}", f"--output={output}", addon.name]
            run_step(f"Exporting the terms of {addon.name}", command, env=environment())
            texts[addon] = output.read_text() if output.exists() else ""
        installation.databases.drop(DATABASE)
    return texts
