"""Finding Odoo 19: the one named by ODOO_HOME, else Debian's package, unpacked and mended."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev import settings, system
from dev.console import Problem, output_of, run_step, say
from dev.files import fingerprint, remove, write

SERIES = "19.0"
PACKAGE = "odoo-19"
SUITE = "sid"
UNPACKED = settings.RUN / "odoo"
DIST_PACKAGES = Path("usr/lib/python3/dist-packages")
# Linked by the package relative to its own root; they live in the system's /usr/share.
SHARED_FOLDERS = ("javascript", "fonts-font-awesome", "fonts")
# Left out by Debian as not free; a missing file is a console error on every page, and
# any console error fails a tour.
MISSING_SCRIPT = "mail/static/lib/selfie_segmentation/selfie_segmentation.js"


@dataclass(frozen=True)
class OdooSource:
    """Where the `odoo` package is and which folders hold Odoo's own addons."""

    library: Path
    addons: tuple[Path, ...]
    version: str

    @property
    def key(self) -> str:
        """Changes when another Odoo is used, so that template databases are made anew."""
        return fingerprint(str(self.library), self.version, self.library / "odoo/release.py")


def find() -> OdooSource:
    """The Odoo to use; brings Debian's package here if none is named."""
    home = os.environ.get("ODOO_HOME")
    if home:
        return examine(Path(home).expanduser().resolve())
    if not (UNPACKED / DIST_PACKAGES / "odoo/release.py").exists():
        fetch()
    return examine(UNPACKED)


def examine(home: Path) -> OdooSource:
    """Recognise a checkout, an installed package's dist-packages or an unpacked package."""
    for library in (home, home / DIST_PACKAGES, home.parent):
        release = library / "odoo/release.py"
        if release.exists():
            break
    else:
        raise Problem(
            f"No Odoo in {home}: ODOO_HOME must be a source checkout (with odoo-bin) or "
            "the folder that holds the Python package `odoo` (dist-packages)."
        )
    version = read_version(release)
    if version != SERIES:
        raise Problem(f"{home} holds Odoo {version}, but {SERIES} is needed: name another one.")
    return OdooSource(library, addon_folders(library), version)


def addon_folders(library: Path) -> tuple[Path, ...]:
    """Where Odoo's addons are; the package has them all beside `base`, a checkout does not.

    The package's other folder `addons` is a copy without the data files: no use.
    """
    core, others = library / "odoo/addons", library / "addons"
    if has_sale(core):
        return (core,)
    if has_sale(others):
        return (core, others)
    raise Problem(f"The Odoo in {library} comes without its addons (sale, account, ...).")


def has_sale(path: Path) -> bool:
    return (path / "sale/__manifest__.py").exists()


def read_version(release: Path) -> str:
    found = re.search(r"^version_info\s*=\s*\(([^)]*)\)", release.read_text(), re.MULTILINE)
    parts = [part.strip(" '\"") for part in found[1].split(",")] if found else ["unknown"]
    return ".".join(parts[:2])


def fetch() -> None:
    """Download, check and unpack Debian's package without installing it."""
    if not system.has_apt():
        raise Problem(
            "Odoo 19 is taken from Debian's package, and this machine has no APT: set "
            "ODOO_HOME to a checkout of Odoo 19 (and ODOO_PYTHON to the Python it runs with)."
        )
    folder = settings.RUN / "apt"
    package = download(folder)
    unpacked = folder / "unpacked"
    remove(unpacked)
    run_step("Unpacking Odoo", ["dpkg", "-x", package, unpacked])
    mend(unpacked)
    remove(UNPACKED)
    unpacked.rename(UNPACKED)
    remove(package)


def download(folder: Path) -> Path:
    """Let APT download the package and check it against the signed package lists."""
    problem: Problem | None = None
    for mirror in mirrors():
        source = f"deb [signed-by={system.KEYRING}] {mirror} {SUITE} main\n"
        write(folder / "sources.list", source)
        apt = ["apt-get", *private_apt(folder)]
        remedy = "Is there a network? ODOO_HOME=... uses an Odoo 19 that is already there."
        try:
            update = [*apt, "update", "--error-on=any"]
            run_step("Looking for Odoo 19 in Debian", update, remedy=remedy)
            for leftover in folder.glob(f"{PACKAGE}_*.deb"):
                remove(leftover)
            run_step(
                "Downloading Odoo 19 (120 MB)",
                [*apt, "download", PACKAGE],
                cwd=folder,
                remedy=remedy,
            )
            return next(folder.glob(f"{PACKAGE}_*.deb"))
        except (Problem, StopIteration) as error:
            problem = error if isinstance(error, Problem) else Problem(str(error))
    raise problem or Problem(
        "APT on this machine knows no Debian mirror (run `apt-get update`), and Odoo 19 is "
        "taken from Debian: add one, or set ODOO_HOME to a checkout of Odoo 19."
    )


def private_apt(folder: Path) -> Iterator[str]:
    """Options that keep APT's lists and cache in our folder and the machine's untouched."""
    for place in ("lists/partial", "cache/archives/partial"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root" if settings.is_root() else "",
        "Acquire::Languages": "none",
    }
    for name, value in options.items():
        yield "-o"
        yield f"{name}={value}"


def mirrors() -> list[str]:
    """The Debian mirrors that the machine's own APT uses; as root, after an update if need be."""
    found = read_mirrors()
    if not found and (settings.is_root() or shutil.which("sudo")):
        run_step("Reading APT's package lists", system.as_root("apt-get", "update"))
        found = read_mirrors()
    return found


def read_mirrors() -> list[str]:
    wanted = "$(SITE)|$(COMPONENT)|$(LABEL)"
    shown = output_of(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"])
    rows = [line.split("|") for line in (shown or "").splitlines()]
    sites = [row[0] for row in rows if row[1:] == ["main", "Debian"]]
    return list(dict.fromkeys(sites))


def mend(root: Path) -> None:
    """Put back what the package expects elsewhere or lacks."""
    for name in SHARED_FOLDERS:
        link = root / "usr/share" / name
        remove(link)
        link.symlink_to(Path("/usr/share") / name)
    script = root / DIST_PACKAGES / "odoo/addons" / MISSING_SCRIPT
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.touch()
    broken = [path for path in (root / "usr/share").iterdir() if not path.exists()]
    if broken:
        say(f"Note: missing on this machine: {', '.join(map(str, broken))}.")
