"""TensorFlow Serving's model configuration file (text proto): reading and editing one entry.

The edit is one of the text, so that comments and all that Lince doesn't know stay as they are; the
result is parsed again and must say what was meant. Loads no TensorFlow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf import text_format

from contract.wire import serving_pb2 as pb
from export.rollout.errors import ConfigFileError
from export.rollout.plan import Serving

_EDITED = ("model_version_policy", "version_labels")
_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<open>[{<])|(?P<close>[}>])|(?P<mark>[:;,\[\]])"
    r"|(?P<word>[^\s\#\"'{}<>:;,\[\]]+)"
)


@dataclass(frozen=True)
class _Message:
    """A field of the text that holds a message; places are offsets in the text.

    Attributes:
        start, end: of the whole field.
        inside, close: of what is between its braces.
    """

    name: str
    start: int
    end: int
    inside: int
    close: int


def read(text: str, model: str) -> Serving:
    """Returns what a model's entry asks for.

    Raises:
        ConfigFileError: the text is no model configuration, or has no such model.
    """
    return _serving(_entries(text)[_index(text, model)])


def edit(text: str, model: str, wanted: Serving) -> str:
    """Returns the text with another version policy and other labels in one model's entry.

    Raises:
        ConfigFileError: as `read`, or the entry has a form that can't be edited.
    """
    index = _index(text, model)
    blocks = [
        block
        for models in _messages(text, 0, len(text), "model_config_list")
        for block in _messages(text, models.inside, models.close, "config")
    ]
    entries = _entries(text)
    if len(blocks) != len(entries):
        raise ConfigFileError("to be edited, each model has to be written as config { … }")
    edited = _replaced(text, blocks[index], wanted)
    if not _is_meant(edited, [*entries[:index], wanted, *entries[index + 1 :]]):
        raise ConfigFileError(
            f"the entry of {model} can't be edited: write {' and '.join(_EDITED)} with braces"
        )
    return edited


def _is_meant(text: str, meant: list[pb.ModelConfig | Serving]) -> bool:
    try:
        entries = _entries(text)
    except ConfigFileError:
        return False
    return len(entries) == len(meant) and all(
        (_serving(entry) if isinstance(want, Serving) else entry) == want
        for entry, want in zip(entries, meant, strict=True)
    )


def _index(text: str, model: str) -> int:
    names = [entry.name for entry in _entries(text)]
    if names.count(model) != 1:
        there = ", ".join(names) or "none"
        raise ConfigFileError(f"has not one model {model}; there are {there}")
    return names.index(model)


def _entries(text: str) -> list[pb.ModelConfig]:
    try:
        parsed = text_format.Parse(text, pb.ModelServerConfig(), allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ConfigFileError(f"is no model configuration: {error}") from error
    return list(parsed.model_config_list.config)


def _serving(entry: pb.ModelConfig) -> Serving:
    policy = entry.model_version_policy
    versions = None
    if policy.WhichOneof("policy_choice") == "specific":
        versions = tuple(sorted(set(policy.specific.versions)))
    return Serving(versions, dict(entry.version_labels))


def _messages(text: str, start: int, end: int, *names: str) -> Iterator[_Message]:
    """Yields the fields of these names that hold a message, of one level of the text."""
    name, began, depth, inside = "", start, 0, start
    for token in _TOKEN.finditer(text, start, end):
        if token.lastgroup == "open":
            depth += 1
            if depth == 1:
                inside = token.end()
        elif token.lastgroup == "close":
            depth -= 1
            if depth == 0 and name in names:
                yield _Message(name, began, token.end(), inside, token.start())
        elif token.lastgroup == "word" and depth == 0:
            name, began = token[0], token.start()


def _replaced(text: str, block: _Message, wanted: Serving) -> str:
    kept, at = [], block.inside
    for field in _messages(text, block.inside, block.close, *_EDITED):
        kept.append(text[at : field.start].rstrip(" \t"))
        at = field.end
        separator = re.compile(r"[ \t]*[,;]?[ \t]*").match(text, at)
        at = separator.end() if separator else at
        if text[at : at + 1] == "\n" and kept[-1].endswith("\n"):
            at += 1  # the field had its lines for itself
    kept.append(text[at : block.close])
    line = text[text.rfind("\n", 0, block.start) + 1 : block.start]
    indent = line if line.isspace() else ""
    inner = "".join(f"\n{indent}  {line}" for line in _lines(wanted))
    return f"{text[: block.inside]}{''.join(kept).rstrip()}{inner}\n{indent}{text[block.close :]}"


def _lines(wanted: Serving) -> Iterator[str]:
    if wanted.versions is not None:
        versions = " ".join(f"versions: {number}" for number in wanted.versions)
        yield f"model_version_policy {{ specific {{ {versions} }} }}"
    for label, number in sorted(wanted.labels.items()):
        yield f'version_labels {{ key: "{label}" value: {number} }}'
