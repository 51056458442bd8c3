"""Calls of a gateway: the client classes, and scoring of whole folders.

What is here is `client.gateway`'s; that package is also the distribution `lince-client`.
"""

from client.gateway import *  # noqa: F403
from client.gateway import __all__ as __all__
