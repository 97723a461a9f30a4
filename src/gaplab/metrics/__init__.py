"""What is measured, as pure functions: the gap, bounds, capacity measures, scores of samples, rankings.

Nothing here trains or writes. Start with ``gap.py`` and ``scorecard.py``; ``capacity`` and ``generative`` are rooms of
their own.
"""
