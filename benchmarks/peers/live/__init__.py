"""Engines that read from a broker: each is asked for the same work in its own configuration."""
