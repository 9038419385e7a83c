"""The 3D viewer: guest RAM on a Hilbert curve, coloured by what its pages are, in a window or as a picture.

* `viewer.view.curve` lays bytes along the curve; `viewer.render.pool` keeps RAM on the graphics device as raw pages, and
  `viewer.render.grid` is the dense grid that the tests hold it against;
* `viewer.render.scene` holds what is drawn, `viewer.render.raymarch` draws it, `viewer.view.camera` says from where;
* `viewer.picture.offscreen` writes pictures;
* `viewer.app.window` shows and follows a running machine: `viewer.app.state` is what it shows, `viewer.app.frames` draws it,
  `viewer.app.gui` and `viewer.app.panels` lie over it, `viewer.app.input_handler` takes pointer and keys, `viewer.app.session` and
  `viewer.sources.watcher` bring what the machine does.

``python -m viewer snap NAME -o picture.png`` and ``python -m viewer view NAME`` are the command line. The
viewer uses the public names of `qemu_bridge` only, and nothing is imported here, so `import viewer` is free.
"""
