"""Runs of a user's tests against the real service: `pytest --odyssey-live`."""
