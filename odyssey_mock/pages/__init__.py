"""The web pages of the mock: static files, and functions that list them."""
