"""Measurements, run by hand: they print numbers and judge nothing."""
