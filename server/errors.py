"""The errors of starting servers; what goes wrong in a request is in `server.problems`.

StartError    a server can't start, or ended by itself
"""


class StartError(Exception):
    """A server did not start; the text says which and why."""
