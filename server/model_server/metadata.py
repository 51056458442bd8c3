"""GetModelMetadata: the signatures of a version."""

from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2

from server.model_server.errors import invalid_argument
from server.model_server.servable import Servable

SIGNATURES = "signature_def"


def check_fields(request: Any) -> None:
    """Refuse a GetModelMetadataRequest that asks for nothing, or for anything but signatures.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != SIGNATURES:
            raise invalid_argument(f"Metadata field {name} is not supported")


def metadata(servable: Servable, name: str) -> Any:
    """The GetModelMetadataResponse of a version of the model called `name`."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in servable.signatures.items():
        signatures.signature_def[key].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURES].Pack(signatures)
    return response
