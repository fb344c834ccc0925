"""The explorer: runs random scenarios of clients and server from seeds, and checks rules in each."""
