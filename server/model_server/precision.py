"""Whether a version multiplies in bfloat16: by the flag, by what it permits, by what the CPU can.

An optimised artifact of Lince permits it where its exporter measured on the test set what that
changes (block `optimisation` of its manifest). It is a choice at load, since one artifact serves on
many kinds of CPUs: without instructions for bfloat16 it is slower than float32.
"""

import logging
from pathlib import Path

from contract import manifest
from contract.errors import ManifestError
from contract.processor import bfloat16_instructions

log = logging.getLogger(__name__)


def in_bfloat16(choice: str, folder: Path) -> bool:
    """Decide for a version, and say so in the log where it is not the usual float32.

    Args:
        choice: --mixed_precision: `bfloat16` or `none` for all versions; empty: where the version
            permits it and the CPU has instructions for it.
        folder: The version's.
    """
    if choice == "none":
        return False
    instructions = bfloat16_instructions()
    by = f"by {instructions}" if instructions else "which this CPU has no instructions for"
    if choice == "bfloat16":
        log.info("%s multiplies in bfloat16, %s: --mixed_precision says so", folder, by)
        return True
    if not _permitted(folder):
        return False
    if instructions is None:
        log.info("%s multiplies in float32: its manifest permits bfloat16, %s", folder, by)
        return False
    log.info("%s multiplies in bfloat16, %s: its manifest permits it", folder, by)
    return True


def _permitted(folder: Path) -> bool:
    try:
        found = manifest.parse((folder / manifest.FILE).read_bytes())
    except (OSError, ManifestError):  # of another maker
        return False
    return found.optimisation is not None and found.optimisation.bfloat16 is not None
