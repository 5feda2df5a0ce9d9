"""How fast the engine is, as ratios against peers that did the same work in the same run (`python -m bench`)."""
