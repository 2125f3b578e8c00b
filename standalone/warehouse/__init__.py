"""The demonstration's own goods: what rides on the virtual pallets, and what the books expect of it."""
