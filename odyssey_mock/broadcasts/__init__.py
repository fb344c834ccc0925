"""Streams that are watched, over WHEP and HLS, in the packets that were made for the host (`protocol.md` section 5)."""
