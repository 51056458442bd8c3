"""Where inputs come from: each source is read lazily, in an order that is always the same."""

from client.scoring.sources.choose import can_be_counted, check, inputs

__all__ = ["can_be_counted", "check", "inputs"]
