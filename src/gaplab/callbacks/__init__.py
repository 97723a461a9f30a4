"""Lightning Callbacks of a run, and nothing else: when something is measured, written, drawn, saved or stopped.

What is measured or drawn stands in ``metrics``, ``figures`` and ``tasks``; which callbacks a run has, in
``builders/callbacks.py``. Start with ``recording.py``, which every other callback reads from.
"""
