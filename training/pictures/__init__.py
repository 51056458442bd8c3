"""Pictures of data, fits and models: each a function from plain arrays to the bytes of a PNG."""
