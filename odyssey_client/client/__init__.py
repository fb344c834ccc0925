"""The `Odyssey` client class and the groups of its calls."""
