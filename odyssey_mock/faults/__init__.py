"""Fault injection: the catalog of possible faults and the registry of active ones."""
