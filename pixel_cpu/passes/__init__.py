"""Analyses and rewrites of kernels."""
