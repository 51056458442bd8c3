"""The rows of an output, and what a run is told by."""

from __future__ import annotations

import msgspec


class Ranked(msgspec.Struct, frozen=True):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one input: its labels, or its error.

    Attributes:
        index: the input's place among all inputs of the sources, from 0, whatever the shard.
        path: the input's name.
        label: the best label.
        probability: of the best label, 0 to 1.
        top_k: the best labels in falling order.
        probabilities: of every label, in the order of the model's output, if they were asked for.
        model: name of the model that answered.
        version: of that model.
        true_label: name of the input's folder, if it was asked for.
        error: why there is no label.
    """

    index: int
    path: str
    label: str | None = None
    probability: float | None = None
    top_k: tuple[Ranked, ...] = ()
    probabilities: tuple[float, ...] | None = None
    model: str | None = None
    version: str | None = None
    true_label: str | None = None
    error: str | None = None


class Shard(msgspec.Struct, frozen=True):
    """One of so many parts of the inputs: those whose index leaves `number` divided by `of`."""

    number: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.of:
            raise ValueError(f"shard {self.number}/{self.of}: shards are counted from 0")

    def has(self, index: int) -> bool:
        return index % self.of == self.number


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two commands the same run, beside the output.

    The server's address is none of it: a gateway may have moved.

    Attributes:
        sources: as the user gave them, in their order.
        column: of tables, where the paths are.
        transport: "http" or "grpc".
        model: name of the model.
        version: the one that the user asks for; None is the newest.
        any_version: whether the version may change during the run.
        top_k: how many labels to rank.
        probabilities: whether every label's probability is in the rows.
        labels_from_folders: whether the name of an input's folder is its true label.
        shard: which part of the inputs.
    """

    sources: tuple[str, ...]
    column: str = "path"
    transport: str = "http"
    model: str
    version: int | None = None
    any_version: bool = False
    top_k: int = 5
    probabilities: bool = False
    labels_from_folders: bool = False
    shard: Shard = Shard()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run; it lies beside the output, as OUTPUT.summary.json.

    Attributes:
        parameters: of the run.
        version: the pinned version; None if it was allowed to change.
        labels: of the model in the order of `probabilities`, where they are known.
        inputs: how many the sources have in all, of every shard.
        rows: in this output.
        errors: rows with an error.
        seconds: that the last start of the run took.
        accuracy: share of the rows with a label that have the true one.
        confusion: true label → label → rows.
    """

    parameters: Parameters
    version: int | None
    labels: tuple[str, ...] = ()
    inputs: int
    rows: int
    errors: int
    seconds: float
    accuracy: float | None = None
    confusion: dict[str, dict[str, int]] | None = None
