"""Traces of a mock: what is recorded, the viewer, the text form, exports to other formats, and comparison."""
