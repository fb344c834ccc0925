"""Impaired networks as data: their description, presets with well-known names, and the machine that applies them."""
