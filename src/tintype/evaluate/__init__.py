"""Measuring colour."""
