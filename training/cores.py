"""How many processors this process may use."""

import os


def cores() -> int:
    """Returns the processors that this process may run on, where the system tells; else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
