"""WebRTC peers of hosts and spectators: peer connections that close completely, ICE servers and candidates."""
