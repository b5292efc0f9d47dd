"""Presets: YAML files and the rows of the papers' tables, by name."""
