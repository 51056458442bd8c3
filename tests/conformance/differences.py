"""Where Lince's own model server differs from TensorFlow Serving, on purpose.

A row that names a difference says what Lince's server does. Where the row also says what TensorFlow
Serving does, that is what counts there; where it doesn't, TensorFlow Serving isn't asked. A server
that was only given by its address may do either.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One deliberate difference, in a few words each."""

    lince: str
    reference: str


LISTEN_ADDRESS = Difference(
    "listens where --listen_address says, by default 127.0.0.1", "listens on every network"
)
DRAINS = Difference(
    "SIGTERM and SIGINT let calls in flight finish, then exit 0", "both kill the process at once"
)
WRONG_RANK = Difference(
    "refuses a tensor of another rank where 3 or more is declared",
    "hands it to the kernel, which can abort the process",
)
REPEATED_VALUES = Difference(
    "refuses a tensor that a few bytes make larger than 2 GiB", "allocates it"
)
JSON_RANGE = Difference(
    "refuses a number outside the input's type", "lets it wrap around, or rounds it"
)
JSON_WORDS = Difference("JSON syntax errors have Python's words", "they have RapidJSON's words")
BODY_LIMITS = Difference(
    "a REST body has at most 64 MiB and nests at most 32 deep", "there is no such limit"
)
NOT_UTF8 = Difference(
    "bytes in a text output that are not UTF-8 become U+FFFD", "they are sent as they are"
)
BATCH_ERRORS = Difference(
    "if a shared run fails, each request runs again alone and gets its own answer",
    "the error goes to every request of the batch",
)
VARIABLE_LENGTH = Difference(
    "only requests whose rows have the same shape share a batch",
    "rows of different shapes are padded, or the batch fails",
)
UNKNOWN_MODELS = Difference(
    "requests for models that were never there are counted as model_name `unknown`",
    "each name that anybody asks for is counted by itself",
)
