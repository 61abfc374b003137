"""Theodolite: four tasks of a stream of electricity readings (Henning and Hasselbring 2021).

Data and pipelines are written for edgestream from the published descriptions; numpy recomputes the
answers. Where Theodolite feeds sums of groups back into its input to reach any depth, a pipeline
has no circles: each level of groups is a stream of its own.
"""
