"""What turns a language into the IR."""
