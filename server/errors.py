"""The errors of starting servers; what goes wrong in a request is in `server.problems`.

StartError           a server can't start, or ended by itself
└── KeyFileError     a file of API keys that is missing or broken; the text names file and place
"""


class StartError(Exception):
    """A server did not start; the text says which and why."""


class KeyFileError(StartError):
    """The file of API keys can't be used."""
