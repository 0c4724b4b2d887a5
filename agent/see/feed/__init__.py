"""Where pictures come from: one module for each kind of source; `agent.see.sources` is their door."""
