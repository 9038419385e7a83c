"""The terminal dashboard over all machines of this user: what ``glassbox top`` shows."""
