"""The errors of a roll-out.

RolloutError        base: what the user can put right
├── ConfigFileError a model configuration file that can't be read or edited
├── PlanError       a change that makes no sense from where the model is
├── WorseError      the version is worse than the stable one, or nobody can tell
└── NotLiveError    the model servers don't have it, or not in time
"""

from export.errors import ExportError


class RolloutError(ExportError):
    """Base of all errors of this package."""


class ConfigFileError(RolloutError):
    """The model configuration file can't be read or edited."""


class PlanError(RolloutError):
    """The change makes no sense from where the model is."""


class WorseError(RolloutError):
    """The version is worse than the stable one, or nobody can tell."""


class NotLiveError(RolloutError):
    """A model server does not serve what the configuration says."""
