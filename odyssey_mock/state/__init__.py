"""The state of a mock in a directory, for the setting `state_dir`: an SQLite database and recorded files."""
