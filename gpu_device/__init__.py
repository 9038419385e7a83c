"""The wgpu device: choice of adapter, limits, timestamps. The only package that sets wgpu up; viewer and compute share it."""
