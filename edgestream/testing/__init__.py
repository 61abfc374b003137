"""The test kit: what every component must pass, and helpers for tests of pipelines."""

from edgestream.testing.connectors import context

__all__ = ["context"]
