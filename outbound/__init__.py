"""The way back: changes that reach ServiceTitan once, and what became of each."""
