"""The directory of a run: its files, status and checkpoints, how it is resumed, and its books.

Who trains, reads and writes through here, whether a run is alone or in a stack. Start with ``directory.py``, then
``recorder.py``, which keeps history, best weights and the rules by which a run stops.
"""
