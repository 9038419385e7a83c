"""Counters per page that the plugin keeps while the guest runs: blocks executed, stores, last writers."""
