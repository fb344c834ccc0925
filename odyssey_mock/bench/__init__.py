"""Benchmarks, each with a baseline that is measured in the same run on the same machine.

On a shared machine, a single time varies with the load; the ratio of two alternating measurements is reliable.
"""
