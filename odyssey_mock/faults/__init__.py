"""Failures on demand: what can be made to fail, and the list of what is to."""
