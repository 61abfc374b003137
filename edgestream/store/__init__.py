"""The state file of a pipeline: journal, checkpoints, outbox, dead letters."""
