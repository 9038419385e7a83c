"""The panels over the picture, one module each with one `draw` function over the shared `viewer.app.state.ViewerState`.

Dear ImGui draws them again in every frame. They keep nothing themselves: what they show, and what a click changes, is in the
state. `viewer.app.panels.layout` places them.
"""
