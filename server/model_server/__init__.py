"""The embedded stand-in for TensorFlow Serving: same protocol, same flags, for one machine.

Importing this package costs nothing: TensorFlow is loaded only once `main` has read its flags.
"""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the model server until it is told to stop.

    Args:
        argv: The flags, without the program's name, in tensorflow_model_server's form
            (`--name=value`).

    Returns:
        The exit status: 0 after a clean stop, 255 for bad flags or a failed start.
    """
    from server.model_server.program import run

    return run(argv)
