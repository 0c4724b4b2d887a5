"""Where pictures come from: one module for each kind of source; `agent.sources` is their door."""
