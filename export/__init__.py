"""From a run folder to a SavedModel that describes itself, published for a model server."""
