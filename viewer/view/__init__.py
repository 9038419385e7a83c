"""What is looked at and how, as plain values: camera, curve, colours, labels, the text of a view. No GPU here."""
