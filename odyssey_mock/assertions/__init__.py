"""Assertions for tests: on the journal (`expectations`, `requests`, `histories`) and on received video (`frames`)."""
