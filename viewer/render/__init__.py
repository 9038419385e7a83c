"""The renderer: RAM as bricks on the graphics device, and the shaders that draw them."""
