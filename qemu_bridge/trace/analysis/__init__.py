"""Questions to a trace file: is it sound, what runs hot, how do two differ, what does a stretch of it look like."""
