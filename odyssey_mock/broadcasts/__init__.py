"""Broadcasts: streams that spectators watch over WHEP and HLS, sharing the host's packets (`protocol.md` section 5)."""
