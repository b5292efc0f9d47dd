"""Tests of `sngan_cond.constraints`."""
