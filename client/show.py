"""Answers as lines for a person, or for a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from client.gateway import Client, ClientError, GatewayAwayError, Result
from contract.paths import as_text
from contract.run_folder import RunFolder

Echo = Callable[[str], object]


def classify_files(
    url: str, files: Sequence[Path], model: str | None, top_k: int, *, as_json: bool, echo: Echo
) -> int:
    """Classifies files one by one and shows each answer; returns how many failed.

    Raises:
        GatewayAwayError: there is no gateway at the address.
        ClientError: no model was named and the gateway serves several.
    """
    failed = 0
    with Client(url) as client:
        name = model or only_model(client)
        for file in files:
            try:
                result = client.classify(file, name, top_k=top_k)
            except GatewayAwayError:
                raise
            except (ClientError, OSError) as error:
                failed += 1
                echo(
                    _json({"path": as_text(file), "error": str(error)})
                    if as_json
                    else f"{as_text(file)}: {error}"
                )
                continue
            echo(_as_json(file, result) if as_json else _as_text(file, result))
    return failed


def only_model(client: Client) -> str:
    """Returns the name of the one model that a gateway serves.

    Raises:
        ClientError: it serves several, or none.
    """
    names = [card.name for card in client.models()]
    if len(names) != 1:
        raise ClientError(
            f"{client.url} serves {', '.join(names) or 'no model'}: name one, --model"
        )
    return names[0]


def show_samples(url: str, model: str, run: Path, *, echo: Echo) -> list[tuple[str, Path]]:
    """Classifies the sample pictures of a model's run and shows them beside their true labels.

    Returns:
        the model and the file of each.
    """
    try:
        samples = RunFolder(run).samples()
    except OSError:
        return []  # a model that was copied here has no run
    echo(f"\n{model}: test pictures, classified over HTTP")
    right = 0
    with Client(url) as client:
        for sample in samples:
            result = client.classify(sample.file, model)
            right += result.label == sample.label
            mark = "✓" if result.label == sample.label else "✗"
            echo(
                f"  {mark} {sample.file.name:8} {result.label:14} {result.probability:6.1%}"
                f"   true label: {sample.label}"
            )
    echo(f"  {right} of {len(samples)} right")
    return [(model, sample.file) for sample in samples]


def _as_text(file: Path, result: Result) -> str:
    ranked = ", ".join(f"{entry.label} {entry.probability:.1%}" for entry in result.top_k)
    return f"{as_text(file)}: {ranked}"


def _as_json(file: Path, result: Result) -> str:
    return _json(
        {
            "path": as_text(file),
            "model": result.model,
            "version": result.version,
            "result": {
                "label": result.label,
                "probability": result.probability,
                "top_k": result.top_k,
            },
        }
    )


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()
