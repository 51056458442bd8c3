"""The errors of the contract.

ContractError
├── ManifestError      a manifest that breaks its schema; the text names the field
├── SettingsError      wrong LINCE_* variables; the text lists every one of them
├── RunFolderError     a run folder that is missing or incomplete
├── TensorError        a tensor that is no well-formed TensorProto of a known dtype
└── ImageError         bytes that give no pixels
    ├── NotAnImageError     no format that is accepted
    ├── BrokenImageError    a known format, but truncated or corrupt
    └── ImageTooLargeError  more pixels than allowed, read from the header
"""


class ContractError(ValueError):
    """Base of all errors of this package."""


class ManifestError(ContractError):
    """The manifest breaks its schema."""


class SettingsError(ContractError):
    """One or more settings are wrong."""


class RunFolderError(ContractError):
    """The run folder is missing or incomplete."""


class TensorError(ContractError):
    """The message is no tensor that can be read."""


class ImageError(ContractError):
    """The bytes give no pixels."""


class NotAnImageError(ImageError):
    """The bytes are in no accepted image format."""


class BrokenImageError(ImageError):
    """The image is truncated or corrupt."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than allowed."""
