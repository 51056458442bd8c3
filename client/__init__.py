"""Calls of a gateway: the client class, and scoring of whole folders."""

from client.errors import BadAnswerError, ClientError, GatewayAwayError, ProblemError
from client.gateway import Classification, Client, ModelCard, Ranked, Result

__all__ = [
    "BadAnswerError",
    "Classification",
    "Client",
    "ClientError",
    "GatewayAwayError",
    "ModelCard",
    "ProblemError",
    "Ranked",
    "Result",
]
