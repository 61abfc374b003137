"""Codecs: payload bytes to columns and back."""
