"""Windows: which rows belong together, and when they are complete."""
