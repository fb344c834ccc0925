"""Simulation: the real client and backend in one process, in virtual time, on an in-memory network, from one seed."""
