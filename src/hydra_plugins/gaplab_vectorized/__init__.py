"""``hydra/launcher=vectorized``: a sweep as stacked models. Hydra scans this package: nothing heavy here."""
