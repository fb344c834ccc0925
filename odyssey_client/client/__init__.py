"""The client, by kinds of calls."""

from odyssey_client.client.odyssey import Odyssey

__all__ = ["Odyssey"]
