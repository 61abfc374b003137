"""Aggregates: state as columns, updated, merged and read in numpy."""
