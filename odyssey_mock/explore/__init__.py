"""The explorer: runs scenarios of clients and a server, which are drawn from seeds, and checks rules in each run."""
