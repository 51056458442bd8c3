"""The errors of export.

ExportError           base: what the user can put right
├── ModelNameError    a model name that no model server or URL takes
└── VerificationError the artifact does not answer as the Keras model does
"""


class ExportError(Exception):
    """Base of all errors of this package."""


class ModelNameError(ExportError):
    """The model's name can't be used."""


class VerificationError(ExportError):
    """The artifact does not answer as the Keras model does."""
