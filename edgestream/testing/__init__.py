"""The test kit: what every component must pass, and helpers for pipelines."""
