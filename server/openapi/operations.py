"""Every route: what it is for, what it takes and gives."""

from __future__ import annotations

from typing import Any

from server.openapi import pieces, schemas
from server.openapi.responses import EVERYWHERE, OF_POSTS, given, problems
from server.openapi.schemas import ref

TAGS = {
    "classify": "Classify pictures",
    "models": "Models",
    "v2": "Open Inference Protocol v2",
    "operation": "Operation",
    "page": "Pages",
}

_HEADERS = ("Server-Timing", "X-Model-Version", "X-Model-Track")
_CURL = "curl --data-binary @picture.jpg {{origin}}/v1/models/{model}:{verb}"


def paths(model: str) -> dict[str, Any]:
    """Returns all paths.

    Args:
        model: a model's name for the examples.
    """
    return (
        _verb("classify", _classify(model))
        | _verb("predict", _predict(model))
        | _verb("explain", _explain(model))
        | _models()
        | _protocol()
        | _operation()
        | _pages()
    )


def _verb(verb: str, operation: dict[str, Any]) -> dict[str, Any]:
    """A verb of a model, by its newest version, a version, or a label; and of the default model."""
    places: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (f"/v1/models/{{name}}:{verb}", "", ("name",)),
        (f"/v1/models/{{name}}/versions/{{number}}:{verb}", "Version", ("name", "number")),
        (f"/v1/models/{{name}}/labels/{{label}}:{verb}", "Label", ("name", "label")),
        (f"/v1/{verb}", "Default", ()),
    )
    more = {
        "": "",
        "Version": ", by one version",
        "Label": ", by a labelled version",
        "Default": ", by the default model",
    }
    made = {}
    for path, suffix, names in places:
        own = {
            **operation,
            "operationId": verb + suffix,
            "summary": operation["summary"] + more[suffix],
            "parameters": pieces.parameter_refs(*names) + operation["parameters"],
        }
        if suffix:  # the API page lists the main form alone, and shows examples of it
            del own["x-codeSamples"]
            own["x-variant"] = True
        made[path] = {"post": own}
    return made


def _post(
    summary: str,
    description: str,
    body: dict[str, Any],
    success: dict[str, Any],
    fields: tuple[str, ...],
    *curls: str,
) -> dict[str, Any]:
    return {
        "tags": ["classify"],
        "summary": summary,
        "description": description,
        "parameters": pieces.parameter_refs(*fields, *pieces.CALL_PARAMETERS),
        "requestBody": body,
        "responses": {"200": success} | problems(*EVERYWHERE, *OF_POSTS),
        "x-codeSamples": [{"lang": "Shell", "source": curl} for curl in curls],
    }


def _classify(model: str) -> dict[str, Any]:
    fields = ("top_k", "threshold", "probabilities")
    curl = _CURL.format(model=model, verb="classify")
    several = (
        f"curl -F image=@a.jpg -F image=@b.png '{{origin}}/v1/models/{model}:classify?top_k=3'"
    )
    return _post(
        "Classify pictures",
        "One picture that fails is answered with its own status. Of several, each has its result"
        " or its problem, and the status is 200.",
        pieces.images_body(schemas.ImagesBody, *fields),
        given("A result for each picture", *_HEADERS, json=ref(schemas.ClassifyAnswer)),
        fields,
        curl,
        several,
    )


def _predict(model: str) -> dict[str, Any]:
    answer = {"anyOf": [ref(schemas.Predictions), ref(schemas.Outputs)]}
    curl = (
        "curl -H 'Content-Type: application/json'"
        f' -d \'{{"instances": [{{"b64": "…"}}]}}\' {{origin}}/v1/models/{model}:predict'
    )
    return _post(
        "Predict, as TensorFlow Serving's REST API does",
        "TensorFlow Serving's and KServe's V1 form. All or nothing: one image that fails is the"
        " answer, and its detail names the index.",
        pieces.json_body(schemas.PredictBody),
        given("Probabilities", *_HEADERS, json=answer),
        (),
        curl,
    )


def _explain(model: str) -> dict[str, Any]:
    curl = _CURL.format(model=model, verb="explain")
    return _post(
        "Explain: what in a picture spoke for its label",
        "With `Accept: image/png` and one picture the answer is that picture with the heat map"
        " over it; else JSON with the heat map's numbers. Models without the signature `explain`"
        " answer 422 `not-explainable`.",
        pieces.images_body(schemas.ExplainBody, "overlay"),
        given(
            "A heat map for each picture",
            *_HEADERS,
            json=ref(schemas.ExplainAnswer),
            png={"type": "string", "format": "binary"},
        ),
        ("overlay",),
        f"{curl} --header 'Accept: image/png' --output overlay.png",
    )


def _get(
    tag: str,
    name: str,
    summary: str,
    success: dict[str, Any],
    *parameters: str,
    more: tuple[int, ...] = (),
) -> dict[str, Any]:
    operation = {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "parameters": pieces.parameter_refs(*parameters),
        "responses": {"200": success}
        | problems(*EVERYWHERE, *more, form="v2" if tag == "v2" else ""),
    }
    return {"get": operation}


def _models() -> dict[str, Any]:
    return {
        "/v1/models": _get(
            "models", "models", "The models that are served", _json("Models", schemas.ModelList)
        ),
        "/v1/models/{name}": _get(
            "models",
            "model",
            "One model: its versions' states and its manifest",
            _json("The model's card", schemas.ModelCard),
            "name",
            more=(502,),
        ),
    }


def _json(description: str, kind: type) -> dict[str, Any]:
    return given(description, json=ref(kind))


def _protocol() -> dict[str, Any]:
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{number}"
    made = {
        "/v2": _get("v2", "v2", "The server", _json("The server", schemas.ServerMetadata)),
        "/v2/health/live": _open(
            _get("v2", "v2Live", "Is it alive?", _json("It is", schemas.ServerLive))
        ),
        "/v2/health/ready": _open(
            _get("v2", "v2Ready", "Is it ready?", _json("It is", schemas.ServerReady))
        ),
    }
    for path, names, suffix in ((model, ("name",), ""), (version, ("name", "number"), "Version")):
        of = " of a version" if suffix else ""
        metadata = _json("Inputs and outputs", schemas.ModelMetadata)
        ready = _json("The model is ready", schemas.ModelReady)
        made[path] = _get(
            "v2",
            f"v2Model{suffix}",
            f"Inputs and outputs{of or ' of a model'}",
            metadata,
            *names,
            more=(502,),
        )
        made[f"{path}/ready"] = _get(
            "v2",
            f"v2ModelReady{suffix}",
            f"Readiness{of or ' of a model'}",
            ready,
            *names,
            more=(502,),
        )
        made[f"{path}/infer"] = {"post": _infer(suffix, of, names)}
        if suffix:
            for item in (made[path], made[f"{path}/ready"], made[f"{path}/infer"]):
                next(iter(item.values()))["x-variant"] = True
    return made


def _infer(suffix: str, of: str, names: tuple[str, ...]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    answer = given(
        "Probabilities",
        *_HEADERS,
        json=ref(schemas.InferAnswer),
        binary={"type": "string", "format": "binary"},
    )
    operation = _post(
        f"Inference{of and ' by one version'}",
        "Images as BYTES tensors (files) or as UINT8 tensors of the model's pixels, in JSON or with"
        " the binary tensor extension (header Inference-Header-Content-Length). All or nothing.",
        pieces.json_body(schemas.InferBody, **{"application/octet-stream": binary}),
        answer,
        names,
    )
    del operation["x-codeSamples"]
    operation["responses"] |= problems(*EVERYWHERE, *OF_POSTS, form="v2")
    return {**operation, "tags": ["v2"], "operationId": f"v2Infer{suffix}"}


def _open(item: dict[str, Any]) -> dict[str, Any]:
    """Marks a route that asks for no key."""
    for operation in item.values():
        operation["security"] = []
        del operation["responses"]["401"]
    return item


def _operation() -> dict[str, Any]:
    text = given("Prometheus's text format", text={"type": "string"})
    status = _json("It is", schemas.Status)
    return {
        "/livez": _open(_get("operation", "livez", "Is the process alive?", status)),
        "/readyz": _open(
            _get(
                "operation", "readyz", "Has every model an available version?", status, more=(502,)
            )
        ),
        "/metrics": _get("operation", "metrics", "What was counted", text),
    }


def _pages() -> dict[str, Any]:
    html = given("The page", "ETag", html={"type": "string"})
    files = given(
        "The file",
        "ETag",
        css={"type": "string"},
        javascript={"type": "string"},
        svg={"type": "string"},
    )
    document = given("This document", "ETag", json={"type": "object"})
    routes = {
        "/": _get("page", "page", "The page to drop pictures on", html),
        "/docs": _get("page", "docs", "The API page", html),
        "/openapi.json": _get("page", "openapi", "This document", document),
        "/page/{file}": _get("page", "pageFile", "What the pages load", files, "file"),
    }
    for item in routes.values():
        _open(item)["get"]["responses"]["304"] = {"description": "The caller has it already"}
    return routes
