"""LightningModules: what is learned, by which loss and optimiser, and how it is scored and drawn.

They are plain Lightning and know no callback and no run. Start with ``classifier.py``; ``block_loop.py`` takes many
of its steps in one call of the loop.
"""
