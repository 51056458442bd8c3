"""Recipes, data sets, fitting and evaluation."""
