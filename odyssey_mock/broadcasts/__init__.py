"""Broadcasts: streams that spectators watch over WHEP or HLS (`protocol.md` section 5)."""
