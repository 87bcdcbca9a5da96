"""The studies of the book: for each the specs, the claims and the tables; a catalogue and a ledger of all."""
