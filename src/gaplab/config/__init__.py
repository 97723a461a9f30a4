"""Every key of the command line: its meaning, unit, range and default, as typed dataclasses.

Neither torch nor lightning is imported here, so that ``--help`` and every mistake are answered at once; only
methods called ``build...`` import what they build. Start with ``schema.py``, the root, and ``compose.py``,
which makes a checked ``Config`` of a command line.
"""
