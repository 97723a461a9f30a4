"""Files that are either whole or absent, locks, and careful reading of what others wrote.

Nothing here knows what a run is. Start with ``atomic.py``.
"""
