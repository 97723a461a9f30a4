"""K runs of equal shape trained at once as stacked models, each left behind as an ordinary run.

Which runs are put together is decided in ``sweeps``. Start with ``stacked_runs.py``, then ``ensemble.py``;
``step.py`` and ``gan_step.py`` are one training step as a pure function.
"""
