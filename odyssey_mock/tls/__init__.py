"""TLS of the mock: certificates, the local certificate authority, and the TLS context of the server."""
