"""Guest memory: four kinds of addresses, RAM in a shared file, page tables, and which pages changed."""
