"""The explorer: draws scenarios with clients and a server from seeds, runs them, and checks rules in each run."""
