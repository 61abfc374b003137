"""The expression language: parsed, checked, compiled to numpy; never `eval`."""
