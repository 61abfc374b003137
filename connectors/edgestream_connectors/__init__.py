"""Connectors: one folder or file a system, each importing only what `edgestream` exports."""
