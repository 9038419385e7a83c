"""A server of the Model Context Protocol: language models look into machines, and move the viewers of whoever looks on.

The tools are made from the operation table (`tools`), results are cut to pages (`pages`), and `server` speaks the protocol.
"""
