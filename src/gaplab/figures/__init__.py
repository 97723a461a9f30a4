"""Tensors to pictures. Knows no logger. What a run draws needs Pillow only; ``curves`` needs Matplotlib."""
