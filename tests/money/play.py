"""Plays lives of contracts in one database; `tests/test_money.py` runs it, several at once.

MONEY_PART is "k/n": which of n parts of the work this process does.
"""

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

from odoo.fields import Command
from odoo.tests import tagged

from odoo.addons.milestone_billing.tests.common import MilestoneCommon

from tests.money.bugs import BUGS
from tests.money.machine import ContractMachine
from tests.money.recording import live_again

LIVES = int(os.environ.get("MONEY_LIVES", 200))
STEPS = int(os.environ.get("MONEY_STEPS", 15))
SEED = int(os.environ.get("MONEY_SEED", 0))
PART, PARTS = (int(number) for number in os.environ.get("MONEY_PART", "1/1").split("/"))
LIVES_PER_BUG = 200  # at most: most are found in the first few
INDEPENDENT = "independent lives"


class IndependentLives(HypothesisProvider):
    """Draws like Hypothesis, but every life anew: by itself it spends four of five on variants of the one before."""


AVAILABLE_PROVIDERS[INDEPENDENT] = IndependentLives


@tagged("post_install", "-at_install")
class TestMoney(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # clients may withhold a tax, and pay it to the state themselves
        cls.tax_withheld = cls.env["account.tax"].create({"name": "Withheld 15 %", "amount": -15.0})
        # what changes add may be taxed otherwise than what was signed
        cls.change_products = [
            cls._create_product(name="Extra", type="service", invoice_policy="order", taxes_id=[Command.set(taxes.ids)])
            for taxes in (cls.tax_10 + cls.tax_20, cls.tax_15_included)
        ]

    def test_random_lives_keep_the_invariants(self):
        machine = self.make_machine()
        self.play(machine, LIVES // PARTS)
        for name, count in sorted(machine.statistics.items()):
            print(f"{count:6} {name}")

    def test_seeded_bugs_are_found(self):
        """An invariant breaks, and it is the bug that breaks it: without the bug, the same life breaks none."""
        for name in sorted(BUGS)[PART - 1 :: PARTS]:
            with self.subTest(bug=name):
                with BUGS[name](self):
                    broken, steps = self.find_broken_invariant()
                print(f"{name}: {broken}")
                self.assertTrue(broken, f"{name} was not found in {LIVES_PER_BUG} lives")
                live_again(self.make_machine()(), steps)

    def find_broken_invariant(self):
        """Return what is broken, and the steps of the life that broke it."""
        machine = self.make_machine()
        try:
            self.play(machine, LIVES_PER_BUG)
        except AssertionError as error:
            return str(error).splitlines()[0], machine.last.steps
        return None, []

    def make_machine(self):
        """Return a class of machines of its own: its statistics are those of its lives, ``last`` is the last one."""

        class Machine(ContractMachine):
            case = self
            statistics = Counter()
            last = None

            def __init__(self):
                super().__init__()
                type(self).last = self

        return Machine

    def play(self, machine, lives):
        """Play lives until an invariant is broken.

        :raises AssertionError: that of the first broken invariant
        """
        run_state_machine_as_test(
            seed(SEED * PARTS + PART)(machine),
            settings=settings(
                backend=INDEPENDENT,
                max_examples=lives,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
