"""Which versions of a model are served under which labels, and how that changes without a gap."""
