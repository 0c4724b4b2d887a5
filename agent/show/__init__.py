"""What the box shows of its pictures: every way out goes through `agent.show.privacy`."""
