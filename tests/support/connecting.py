"""Credentials, a reconnect policy and an event for tests of the connection state machine."""

from odyssey_client.connection.connection_machine import ReconnectPolicy, SessionRefused
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import SessionLostError

CREDENTIALS = ClientCredentials("session", "ws://streamer", "token", 600)
RENEWED = ClientCredentials("session", "ws://streamer", "token-2", 600)
OTHERS = ClientCredentials("session-2", "ws://streamer", "token-3", 600)
OFF = ReconnectPolicy(reconnect="off")
GONE = SessionRefused(SessionLostError("The session is gone"))
