"""Pictures and videos without a display, and the text on them."""
