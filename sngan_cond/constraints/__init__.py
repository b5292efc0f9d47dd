"""Constraints on a network's weights and features; `build.build_constraint` makes one from a `config.ConstraintConfig`.

Nothing is imported here, so that a configuration can be read without torch.
"""
