"""Finds the batching parameters with which a model server does most for one model."""
