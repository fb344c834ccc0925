"""The `Odyssey` client class and the groups of its calls."""

from odyssey_client.client.odyssey import Odyssey

__all__ = ["Odyssey"]
