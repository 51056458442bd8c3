"""TensorFlow Serving's methods on a gRPC channel, called by their full names."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from contract.wire import serving_pb2 as pb

#: Neither side of a call may refuse a message for its size: gRPC's default is 4 MB.
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True)
class ModelServerStubs:
    """The calls of a model server; each takes a request and `timeout=` in seconds.

    A call that fails raises grpc.RpcError with `code()` and `details()`.
    """

    predict: grpc.UnaryUnaryMultiCallable
    get_model_metadata: grpc.UnaryUnaryMultiCallable
    get_model_status: grpc.UnaryUnaryMultiCallable


def model_server_stubs(channel: grpc.Channel) -> ModelServerStubs:
    """Returns the methods of the model server behind a channel."""
    prediction, model = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"
    return ModelServerStubs(
        predict=channel.unary_unary(
            f"{prediction}/Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        ),
        get_model_metadata=channel.unary_unary(
            f"{prediction}/GetModelMetadata",
            request_serializer=pb.GetModelMetadataRequest.SerializeToString,
            response_deserializer=pb.GetModelMetadataResponse.FromString,
        ),
        get_model_status=channel.unary_unary(
            f"{model}/GetModelStatus",
            request_serializer=pb.GetModelStatusRequest.SerializeToString,
            response_deserializer=pb.GetModelStatusResponse.FromString,
        ),
    )
