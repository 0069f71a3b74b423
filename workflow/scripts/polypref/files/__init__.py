"""Reading and writing tables: column schemas, atomic writes and digests."""
