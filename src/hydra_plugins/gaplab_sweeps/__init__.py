"""Hydra's view of sweeps: launchers, the grid, the report at the end. Hydra scans this package: nothing heavy here."""
