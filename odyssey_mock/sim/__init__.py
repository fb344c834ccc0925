"""Simulation: the client and the mock in one process, with virtual time, an in-memory network and seeded randomness."""
