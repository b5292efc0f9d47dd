"""What visitors can ask for: each request checks itself, and reads and writes its link."""
