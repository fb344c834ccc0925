"""Video of streams: rendering of frames from a timeline, frame stamps, and encoding once for all receivers.

Most modules need av, numpy or Pillow, which take 0.2 s to import. A mock that only answers requests uses none of them.
The modules of other packages therefore import them inside functions, except for type checking. `timeline.py`,
`look.py`, `keyframes.py` and `data_url.py` need no library.
"""
