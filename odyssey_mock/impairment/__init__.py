"""Impaired networks as data: their description, presets with well-known names, and the machine that applies them.

`delay_line.py` is no data: it delivers packets at their times on the event loop.
"""
