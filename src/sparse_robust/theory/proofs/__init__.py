"""One module per theorem; importing this package registers every claim, in the order of the book."""
