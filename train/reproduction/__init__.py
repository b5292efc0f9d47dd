"""The tables and figures of the papers as rows, each a preset, and what it takes to run and compare them."""
