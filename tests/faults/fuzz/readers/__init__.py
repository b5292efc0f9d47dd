"""The readers, by rooms of the product."""
