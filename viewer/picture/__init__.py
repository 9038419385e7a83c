"""Pictures and videos without a display, and the words on them."""
