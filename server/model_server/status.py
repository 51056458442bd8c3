"""GetModelStatus: how far each version of a model has come."""

from typing import Any

from tensorflow_serving.apis import get_model_status_pb2

from server.model_server.choose import model_spec
from server.model_server.errors import not_found
from server.model_server.manager import Manager


def model_status(manager: Manager, request: Any) -> Any:
    """The GetModelStatusResponse: the version asked for, or all, highest first.

    A label is ignored, as in TensorFlow Serving.

    Raises:
        ServingError: INVALID_ARGUMENT without a model_spec, NOT_FOUND if nothing is known.
    """
    spec = model_spec(request)
    statuses = manager.statuses(spec.name)
    if spec.HasField("version"):
        number = spec.version.value
        if number not in statuses:
            raise not_found(f"Could not find version {number} of model {spec.name}")
        statuses = {number: statuses[number]}
    if not statuses:
        raise not_found(f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, (state, error) in statuses.items():
        entry = response.model_version_status.add(version=number, state=state.value)
        entry.status.error_code = error.number if error else 0
        entry.status.error_message = error.text if error else ""
    return response
