"""The status page and what machines ask of the coordinator's health: all of it read-only."""
