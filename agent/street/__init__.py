"""The parts of the built-in scene: view, meshes, traffic, backdrop and raster; `scene` joins them."""
