"""Recorded measurements."""
