"""Built-in sources that need no third party."""
