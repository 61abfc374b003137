"""Tables outside the stream, of the kinds that need no third party."""
