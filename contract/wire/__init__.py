"""The wire: TensorFlow Serving's messages and methods without TensorFlow."""
