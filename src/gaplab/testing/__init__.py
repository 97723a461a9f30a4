"""Tests for choices of one's own: ``check_choice("data=mine")`` tries everything that gaplab promises of a run.

What is tested is a choice, by whole runs; nothing here knows pytest. Start with ``promises.py``.
"""

from gaplab.testing.promises import PROMISES, BrokenPromiseError, CheckedChoice, check_choice

__all__ = ["PROMISES", "BrokenPromiseError", "CheckedChoice", "check_choice"]
