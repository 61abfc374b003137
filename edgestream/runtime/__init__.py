"""The only place with tasks, retries and waiting."""
