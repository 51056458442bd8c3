"""The errors of scoring: each ends a run, and leaves behind what the same command continues from.

ScoringError              base
├── SourceError           a source can't be read as a whole, or is not what it was before
├── OutputError           the output exists, or belongs to another command or a running one
├── RefusedError          the server refuses every picture: another model, a wrong key
├── VersionGoneError      the version that the run is pinned to is no longer served
├── PatienceError         nothing went forward for too long
├── TooManyErrorsError    more pictures failed than are allowed
└── MergeError            shards that do not make a whole
"""

from __future__ import annotations


class ScoringError(Exception):
    """Base of all errors of this package."""


class SourceError(ScoringError):
    """A source can't be read as a whole, or gives other inputs than before."""


class OutputError(ScoringError):
    """The output exists, or belongs to another command or to one that runs."""


class RefusedError(ScoringError):
    """The server refuses for a reason that is not a picture's own and will not pass."""


class VersionGoneError(ScoringError):
    """The version that the run is pinned to is no longer served."""


class PatienceError(ScoringError):
    """Nothing went forward for longer than the run waits."""


class TooManyErrorsError(ScoringError):
    """More pictures failed than are allowed."""


class MergeError(ScoringError):
    """The shards do not make a whole."""
