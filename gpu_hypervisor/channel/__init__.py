"""The channel between a guest and the host's GPU: frames, messages, sessions, and the sockets of guests (docs/gpu-protocol.md)."""
