"""The messages of TensorFlow Serving's configuration files that its Python package lacks."""
