"""The client's WebRTC peers of live connections and of spectators, and their ICE servers and candidates."""
