"""The gateway; `server.model_server` is the embedded stand-in for TensorFlow Serving."""
