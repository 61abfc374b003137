"""The worker's HTTP endpoint and the live page."""
