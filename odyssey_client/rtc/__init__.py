"""WebRTC as both hosts and spectators need it: a peer connection of which nothing is left, and how it is found."""
