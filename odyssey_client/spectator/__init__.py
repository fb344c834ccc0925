"""Watching a broadcast, which takes no API key (protocol.md section 5)."""
