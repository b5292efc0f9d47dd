"""Constraints on a network's weights and features.

Nothing is imported here, so that a configuration is read without torch: `build.build_constraint` makes a constraint
of a `config.ConstraintConfig`.
"""
