"""What the chapters call, and how the book is executed and drawn."""
