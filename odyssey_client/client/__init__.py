"""The `Odyssey` client class; each module defines one group of its calls."""

from odyssey_client.client.odyssey import Odyssey

__all__ = ["Odyssey"]
