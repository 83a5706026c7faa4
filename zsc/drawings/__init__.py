"""Pictures whose truth is known: faces and animals drawn on the spot, with their captions."""
