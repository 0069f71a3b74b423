"""Files and their columns: schemas, atomic writing, digests."""
