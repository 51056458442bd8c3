"""Kubernetes' and Compose's ways to write sizes and CPUs."""

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 2**10, "m": 2**20, "g": 2**30}


def to_bytes(text: str) -> int:
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text)


def to_cpus(text: str | float) -> float:
    text = str(text)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)
