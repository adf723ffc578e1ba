"""One file for each vendor's wire format: pure functions, no I/O, no clock, no environment."""
