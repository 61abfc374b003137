"""Engines over payloads in memory; `benchmarks.memory` runs each as a process of its own.

They run in the environment of the peers: nothing here may import edgestream, except `ours`.
"""
