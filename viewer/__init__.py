"""The 3D viewer: guest RAM on a Hilbert curve, coloured by what its pages are, in a window or as a picture.

* `viewer.sources`: a machine or a capture, its changes, results of its daemon, its comparison with a capture;
* `viewer.view`: camera, curve, colours, labels, the text of a view; plain values, no GPU;
* `viewer.render`: the scene on the graphics device, and the renderer with its shaders;
* `viewer.picture`: pictures and videos without a display;
* `viewer.app`: the window, its commands and its panels.

``python -m viewer snap NAME -o picture.png`` and ``python -m viewer view NAME`` are the command line. The viewer uses the
public names of `qemu_bridge` only, and nothing is imported here, so `import viewer` is free.
"""
