"""Fuzzing: every reader of what others wrote, fed with changed inputs; see `__main__`."""
