"""The errors of tuning.

TuneError       there is nothing to tune, or it can't be measured
└── CallError   a call of the model server failed; of a candidate, it is out
"""


class TuneError(Exception):
    """Tuning is not possible; the text says why."""


class CallError(TuneError):
    """A call failed; the text has gRPC's status and details."""
