"""Benchmarks: CPU time per event, counted losses, peak memory. ``python -m benchmarks --help``."""
