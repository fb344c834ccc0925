"""WebRTC for streamers and broadcasts: aiortc peers, their addresses, STUN, and a track of encoded packets.

aiortc takes 0.2 s to import. A mock without peers does not use it. The modules of other packages therefore import what
needs aiortc inside functions, except for type checking.
"""
