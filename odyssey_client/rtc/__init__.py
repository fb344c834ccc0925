"""WebRTC peers for live connections and for spectators, with their ICE servers and candidates."""
