"""What visitors can ask for: each request checks itself, makes its inputs, and is written to and read from a link."""
