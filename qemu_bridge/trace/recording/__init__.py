"""Recording: the control block shared with the plugin, the rings of the vCPUs, and what drains them into a file."""
