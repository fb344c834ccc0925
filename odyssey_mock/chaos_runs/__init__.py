"""Chaos runs: a test or a command is run once for each fault that can affect it."""
