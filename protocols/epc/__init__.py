"""Tag memory ↔ GS1 keys. One file per scheme family; SGTIN is the first inhabitant."""
