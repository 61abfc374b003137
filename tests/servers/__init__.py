"""Real servers for tests: each on a free loopback port, stopped by its own process id."""
