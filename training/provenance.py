"""What made a model: library versions and the source's revision."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("lince", "tensorflow", "keras", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Returns Python's and the libraries' versions."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in _LIBRARIES
    }


def source_revision() -> str:
    """Returns git's description of the source, or "unknown" where it is no checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return described.stdout.strip() or "unknown"
