"""Where the viewer's data comes from: a machine, what changes in it, what it is compared with, answers of its daemon."""
