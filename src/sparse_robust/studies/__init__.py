"""The studies of the book: for each the specs, the claims and the tables; a catalogue and a ledger of all."""

STUDIES = (
    *("linear", "lenet", "activation", "cifar", "clever", "over_pruning", "surgery"),
    *("strong_attacks", "verification"),
)
"""The folders, in the order of the ledger. A new study is a folder, and its name here."""
