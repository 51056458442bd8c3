"""A run to look at: its report as a page, and several runs side by side."""
