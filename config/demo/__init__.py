"""`make demo`: the main job, done over HTTP by the official Close client against a whole stack of real processes."""
