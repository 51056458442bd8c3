"""Fitting: from a recipe and its data to a run folder with weights."""
