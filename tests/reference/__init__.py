"""Numbers from outside this code, and where each came from."""
