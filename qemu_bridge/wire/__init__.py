"""What daemon and clients share: operations, records, the connection file, the page map. No further I/O."""
