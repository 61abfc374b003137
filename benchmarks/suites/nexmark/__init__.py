"""Nexmark: an online auction (Tucker, Tufte, Papadimos, Maier 2002), in the queries used today.

Data and pipelines are written for edgestream from the published descriptions; the SQL beside each
pipeline says the same for DuckDB, which recomputes the answers.
"""
