"""Starts the other processes of a run, if any, and waits with them.

The processes themselves are children as ``process/children.py`` knows them. Start with ``processes.py``;
``rank_main.py`` is what a started process executes.
"""
