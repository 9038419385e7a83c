"""Networks between guests: a switch, a process of its own, that its machines' QEMUs are connected to, and what it saw."""
