"""Point sets: the laws that they are drawn from, and the LightningDataModule that serves them from the device.

Nothing here knows a network or a task. Start with ``datamodule.py``; ``loader.py`` hands out batches, alone or in
blocks, as a function of the step.
"""
