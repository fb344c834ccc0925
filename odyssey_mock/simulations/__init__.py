"""Simulation jobs: scripts that run in the background and produce recordings (`protocol.md` sections 2 and 8)."""
