"""WebRTC as both streamers and broadcasts need it: aiortc's peer, where it is found, and packets ready to be sent."""
