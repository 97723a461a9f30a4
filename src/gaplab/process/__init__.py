"""This process and its children: signals, exit codes, devices, memory, imports.

Neither torch nor a run is known here. Start with ``children.py``, the one file that starts, watches, signals and
reaps processes, and ``signals.py``, which notes what asks a run to stop.
"""
