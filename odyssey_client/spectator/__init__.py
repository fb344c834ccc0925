"""Watching a broadcast; no API key is needed (protocol.md section 5)."""
