"""Failures on demand: what can be made to fail, the list of what is to, and how HTTP does it."""
