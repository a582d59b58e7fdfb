"""One file per schema change, in order; a released file is never edited."""
