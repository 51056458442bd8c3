"""The errors of training.

TrainingError          base: what the user can put right; the text says how
├── RecipeError        no such recipe, or one that does not fit what it is asked for
├── DeviceError        the device that was asked for is not there
├── RunError           a run folder that is missing, incomplete or broken
└── DataError          a data set that can't be used; the text names the folder or the file
    ├── SourceError    one source of a data set failed: the next one is tried
    └── WeightsError   a backbone's weights can't be had or don't fit
"""


class TrainingError(Exception):
    """Base of all errors of this package."""


class RecipeError(TrainingError):
    """No such recipe, or one that does not fit what it is asked for."""


class DeviceError(TrainingError):
    """The device that was asked for is not there."""


class RunError(TrainingError):
    """The run folder is missing, incomplete or broken."""


class DataError(TrainingError):
    """The data set can't be used."""


class SourceError(DataError):
    """One source of a data set failed."""


class WeightsError(DataError):
    """A backbone's weights can't be had or don't fit."""
