"""Other systems that do the same work, and how each is got and asked to do it."""
