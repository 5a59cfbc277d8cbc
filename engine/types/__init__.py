"""The values that cross the engine's border, each kind in its own module."""
