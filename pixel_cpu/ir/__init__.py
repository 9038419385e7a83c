"""The typed IR: types, the one table of operations, the model, its text form, a builder and a verifier."""
