"""Speed as ratios, each measured within one run: ``make bench`` (``ARGS=training_loop`` for one of them)."""
