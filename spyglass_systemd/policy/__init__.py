"""Decisions as pure functions of values and a time; time is an argument."""
