"""Benchmarks, each with a baseline that is measured in the same run on the same machine.

Shared machines are noisy: a single number means little, but the ratio of two alternating measurements is reliable.
"""
