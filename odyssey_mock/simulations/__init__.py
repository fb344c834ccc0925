"""Simulation jobs: scripts that run in the background and leave recordings (`protocol.md` sections 2 and 8)."""
