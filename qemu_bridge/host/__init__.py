"""What the operating system gives: files that are opened with care, text that is safe to print, named tasks."""
