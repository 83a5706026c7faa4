"""Measurements of speed and memory; see __main__.py. Not part of the package."""
