"""The learner: what runs hot in a guest, from its trace, as programs of the IR."""
