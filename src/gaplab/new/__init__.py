"""A project of one's own: ``python -m gaplab.new ../mypaper`` makes a folder in which gaplab is a dependency.

What it will hold lies in ``templates/`` as files. Start with ``project.py``.
"""
