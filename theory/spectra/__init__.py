"""Rooms of the spectrum: S-transforms, masks, free products, densities, finite width."""
