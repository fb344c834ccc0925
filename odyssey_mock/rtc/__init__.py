"""WebRTC for streamers and broadcasts: aiortc peers, their addresses, STUN, and a track of encoded packets."""
