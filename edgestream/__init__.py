"""edgestream: async event-stream processing for the edge."""
