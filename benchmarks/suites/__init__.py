"""Standard suites of stream benchmarks, Theodolite, RIoTBench and Nexmark, their answers checked.

Each has its own generator, a pipeline file a query, and answers recomputed without edgestream.
"""
