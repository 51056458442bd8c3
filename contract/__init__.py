"""What all sides agree on: the manifest, the pixels and the wire."""
