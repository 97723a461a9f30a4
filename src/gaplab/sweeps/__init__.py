"""Jobs of a multirun: composed, checked, grouped, scheduled over processes and clusters.

Training itself is the job of ``stacked`` and ``train.py``; Hydra's plugins call this room. Start with
``run_sweep.py``, then ``schedule.py`` and ``worker_pool.py``.
"""
