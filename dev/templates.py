"""Template databases, so that a fresh database takes seconds.

The first holds Odoo's own apps with their demo data; the second is made from it and adds
our addons. Their names carry a fingerprint of what went into them: a changed addon makes
a new one, and going back to an older version finds the older one again.
"""

from dev import settings
from dev.databases import enter
from dev.files import fingerprint, lock, tree_fingerprint
from dev.installation import Installation

KEPT = 2
UNFINISHED = f"{settings.DATABASE_PREFIX}_unfinished"
# Changes to these need no new installation.
NOT_INSTALLED = ("__pycache__", "tests", "readme", "static")


def native(installation: Installation) -> str:
    """The template with Odoo's own apps and demo data."""
    key = fingerprint(installation.odoo.key, *settings.NATIVE_MODULES)
    name = f"{settings.DATABASE_PREFIX}_native_{key[:8]}"
    with lock("template"):
        if not installation.databases.exists(name):
            make_native(installation, name)
        enter(name)
        installation.databases.drop_matching(f"{settings.DATABASE_PREFIX}_native_", keep=KEPT)
    return name


def make_native(installation: Installation, name: str) -> None:
    databases = installation.databases
    databases.create(UNFINISHED)
    modules = ",".join(settings.NATIVE_MODULES)
    title = "Installing Odoo's apps with demo data (about a minute)"
    installation.run_odoo(title, UNFINISHED, "--with-demo", f"--init={modules}")
    databases.finish_template(UNFINISHED, name)


def with_addon(installation: Installation) -> str:
    """The template with our addons on top; the native one when there are none yet."""
    folders = settings.addons()
    base = native(installation)
    if not folders:
        return base
    key = fingerprint(base, tree_fingerprint(folders, NOT_INSTALLED))
    name = f"{settings.DATABASE_PREFIX}_addon_{key[:8]}"
    with lock("template"):
        if not installation.databases.exists(name):
            make_addon(installation, base, name)
        enter(name)
        installation.databases.drop_matching(f"{settings.DATABASE_PREFIX}_addon_", keep=KEPT)
    return name


def make_addon(installation: Installation, base: str, name: str) -> None:
    databases = installation.databases
    databases.copy(base, UNFINISHED)
    modules = ",".join(path.name for path in settings.addons())
    title = f"Installing {modules}"
    installation.run_odoo(title, UNFINISHED, "--with-demo", f"--init={modules}")
    databases.finish_template(UNFINISHED, name)
