"""Measurements, each of ours beside what it is to be compared with, in one run on one machine.

These machines are shared and noisy: a number alone says little, the ratio of two medians taken by turns says much.
"""
