"""Recordings: the records of streams, and the files made from them (`protocol.md` section 6)."""
