"""`make test-native`: Odoo's own tests, run without and with our addons, and compared."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dev import settings, templates
from dev.console import Problem, Progress, log_file, say, tail, wait
from dev.files import fingerprint, lock, read_json, write_json
from dev.installation import Installation, environment, set_up
from dev.ports import free_port

MODULES = (
    "sale",
    "sale_project",
    "sale_management",
    "sale_timesheet",
    "project",
    "account_payment",
    "portal",
)
DATABASE = f"{settings.DATABASE_PREFIX}_native_tests"
RESULTS = settings.RUN / "native-tests"

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
# `<date> <time> <process> INFO <database> odoo.addons.sale.tests.test_x: Starting TestX.test_y ...`
# or a verdict in that place; a failed setUpClass is told by another module and names its class.
LINE = re.compile(
    r"\S+ \S+ \d+ [A-Z]+ \S+ (?P<file>[\w.]+): (?P<verdict>Starting|skipped|FAIL:|ERROR:) "
    r"(?:Subtest )?(?P<test>\w+ \([\w.]+\)|[\w.]+)"
)
VERDICTS = {"Starting": PASSED, "skipped": SKIPPED, "FAIL:": FAILED, "ERROR:": FAILED}
SEVERITY = [PASSED, SKIPPED, FAILED]


def compare() -> int:
    """Run Odoo's own tests without and with the addon and print the difference (40 minutes).

    Returns 1 when a test passes only without our addons.

    MODULES (separated by commas) restricts the modules whose tests are run. The results
    without our addons are kept, as they only change with Odoo.
    """
    installation = set_up()
    modules = os.environ.get("MODULES", "").split(",") if os.environ.get("MODULES") else MODULES
    with lock("native tests"):
        without = results_without(installation, modules)
        with_addons = run_tests(installation, templates.with_addon(installation), modules, "with")
    return report(without, with_addons)


def results_without(installation: Installation, modules: tuple[str, ...]) -> dict[str, str]:
    template = templates.native(installation)
    cache = RESULTS / f"without-{fingerprint(template, *sorted(modules))[:12]}.json"
    results = read_json(cache)
    if results:
        say(f"Without our addons: {len(results)} known results (remove {cache} to run them again)")
    else:
        results = run_tests(installation, template, modules, "without")
        write_json(cache, results)
    return results


def run_tests(installation: Installation, template: str, modules: tuple[str, ...], how: str) -> dict[str, str]:
    """The verdict of every test, by its name, after updating the modules in a fresh database."""
    installation.databases.copy(template, DATABASE)
    log = log_file(f"native tests {how}")
    command = installation.odoo_command(
        f"--database={DATABASE}",
        "--stop-after-init",
        "--max-cron-threads=0",
        "--workers=0",
        f"--http-port={free_port()}",
        f"--update={','.join(modules)}",
        "--test-enable",
        f"--test-tags={','.join(f'/{module}' for module in modules)}",
    )
    progress = Progress(f"Odoo's own tests {how} our addons (all modules: about 20 minutes)")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        wait(process, progress)
    results = read_results(log)
    installation.databases.drop(DATABASE)
    if not is_complete(log) or not results:
        progress.end("FAILED")
        say(tail(log))
        raise Problem(f"Odoo's tests did not come to their end; the whole log is {log}.")
    progress.end(summary(results))
    return results


def is_complete(log: Path) -> bool:
    """Whether Odoo came as far as its own count of failed tests."""
    ending = log.read_text(errors="replace")[-20_000:]
    return bool(re.search(r"\d+ failed, \d+ error\(s\) of \d+ tests", ending))


def read_results(log: Path) -> dict[str, str]:
    """The worst verdict of each test that the log tells of."""
    results: dict[str, str] = {}
    for test, verdict in read_verdicts(log):
        known = results.get(test, PASSED)
        results[test] = max(known, verdict, key=SEVERITY.index)
    return results


def read_verdicts(log: Path) -> Iterator[tuple[str, str]]:
    with log.open(errors="replace") as lines:
        for line in lines:
            match = LINE.match(line)
            if match and (match["verdict"].endswith(":") or ".tests." in match["file"]):
                yield f"{match['file']}:{match['test']}", VERDICTS[match["verdict"]]


def report(without: dict[str, str], with_addons: dict[str, str]) -> int:
    """Print the tests whose verdicts differ; 1 when one of them fails only with our addons."""
    differences = []
    for test in sorted({*without, *with_addons}):
        before, after = without.get(test, "not run"), with_addons.get(test, "not run")
        if before != after:
            differences.append((test, before, after))
    say(f"Without our addons: {summary(without)}")
    say(f"With our addons:    {summary(with_addons)}")
    for test, before, after in differences:
        say(f"  {test}: {before} without, {after} with")
    worse = [test for test, before, after in differences if before == PASSED]
    say(f"{len(differences)} tests differ, {len(worse)} of them passed only without our addons.")
    return 1 if worse else 0


def summary(results: dict[str, str]) -> str:
    counts = dict.fromkeys(SEVERITY, 0)
    for verdict in results.values():
        counts[verdict] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
