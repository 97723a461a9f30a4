"""What TensorBoard shows: event files, custom charts, links into its pages.

When something is written is decided in ``callbacks`` and ``stacked``. Start with ``loggers.py`` and
``custom_scalars.py``.
"""
