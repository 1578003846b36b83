"""Tests of the whole system: real servers with several workers, real browsers."""
