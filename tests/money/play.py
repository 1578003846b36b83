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

LIVES = int(os.environ.get("MONEY_LIVES", 200))
STEPS = int(os.environ.get("MONEY_STEPS", 15))
SEED = int(os.environ.get("MONEY_SEED", 0))
PART, PARTS = (int(number) for number in os.environ.get("MONEY_PART", "1/1").split("/"))
LIVES_PER_BUG = 100
# "independent lives" meets more in the same time; some of its lives still break without a bug, so that a seeded
# bug may be reported by such a life: compare what is printed with what the lives say by themselves
BACKEND = os.environ.get("MONEY_BACKEND", "hypothesis")
INDEPENDENT = "independent lives"


class IndependentLives(HypothesisProvider):
    """Draws like Hypothesis, but every life anew: by itself it spends four of five on variants of the one before."""


AVAILABLE_PROVIDERS[INDEPENDENT] = IndependentLives


@tagged("post_install", "-at_install")
class TestMoney(MilestoneCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # what changes add may be taxed otherwise than what was signed
        cls.change_products = [
            cls._create_product(name="Extra", type="service", invoice_policy="order", taxes_id=[Command.set(taxes.ids)])
            for taxes in (cls.tax_10 + cls.tax_20, cls.tax_15_included)
        ]

    def test_random_lives_keep_the_invariants(self):
        for name, count in sorted(self.play(LIVES // PARTS, STEPS, BACKEND).items()):
            print(f"{count:6} {name}")

    def test_seeded_bugs_are_found(self):
        for name in sorted(BUGS)[PART - 1 :: PARTS]:
            with self.subTest(bug=name), BUGS[name](self):
                broken = self.find_broken_invariant()
                print(f"{name}: {broken}")
                self.assertTrue(broken, f"{name} was not found in {LIVES_PER_BUG} lives")

    def find_broken_invariant(self):
        try:
            self.play(LIVES_PER_BUG, STEPS, INDEPENDENT)
        except AssertionError as error:
            return str(error).splitlines()[0]
        return None

    def play(self, lives, steps, backend):
        """Play lives until an invariant is broken.

        :return: how often which step was taken or refused
        :raises AssertionError: that of the first broken invariant
        """
        statistics = Counter()
        machine = type("Machine", (ContractMachine,), {"case": self, "statistics": statistics})
        run_state_machine_as_test(
            seed(SEED * PARTS + PART)(machine),
            settings=settings(
                backend=backend,
                max_examples=lives,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        return statistics
