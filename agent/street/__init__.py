"""The parts of the built-in scene: the view, the figures, the traffic and the backdrop. `agent.scene` joins them."""
