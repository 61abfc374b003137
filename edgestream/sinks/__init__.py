"""Built-in sinks that need no third party."""
