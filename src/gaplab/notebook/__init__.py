"""What a user calls from Python, in a notebook or a program of his own: ``gaplab.run``.

A run here is the run of the command line, with the same numbers and the same directory; what differs is that the
process goes on afterwards, so its settings are given back. Start with ``running.py``; ``process_settings.py`` gives
back what a run changed. The rows of ``gaplab.runs`` are made in the room ``runs``.
"""
