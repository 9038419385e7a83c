"""RAM that other tools wrote to files: ELF cores, kdump, LiME, AVML, and compressed images."""
