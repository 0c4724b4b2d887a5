"""The parts of the built-in scene: view, figures, traffic, backdrop and brush; `agent.scene` joins them."""
