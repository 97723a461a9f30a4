"""Tensors to pictures, as pure functions; no logger is known here.

What a run draws needs Pillow only, which loads quickly; ``curves``, ``rankings`` and other figures of reports need
Matplotlib. Start with ``canvas.py`` and ``decision_regions.py``.
"""
