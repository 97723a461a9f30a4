"""Classical phenomena of learning: one file each, one command each, one verdict each.

``python train.py experiment=phenomena/NAME`` tests one; ``python -m gaplab.phenomena`` tests all and writes
their pages. Every file has functions that measure, a function ``judge`` that compares the measurements with
the expectation, and a ``PHENOMENON`` that names claim and source. Nothing else
imports them but ``train.py``, where one is asked for: the package works without this folder. Start with ``catalogue.py``.
"""
