"""The documents' networks in Keras."""
