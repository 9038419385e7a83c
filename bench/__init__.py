"""Benchmarks of every performance claim of Glass Box, each measured against its baseline in one run.

``just bench`` runs all, ``just bench boot ram`` some. Times of one machine mean little on another, so what
counts is the ratio of two medians taken in turn.
"""
