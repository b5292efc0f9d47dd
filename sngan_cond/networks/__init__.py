"""The generators and discriminators of the papers."""
