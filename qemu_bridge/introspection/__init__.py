"""What guest memory means: classes of pages, overlays, targets, and the questions that can be asked of it."""
