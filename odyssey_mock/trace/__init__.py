"""Trace files on the side of the mock: the viewer, the text form, exports to other formats, and comparison."""
