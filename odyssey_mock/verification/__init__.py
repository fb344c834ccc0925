"""What is known about the service: the statements of `protocol.md`, each with its id and its sources."""
