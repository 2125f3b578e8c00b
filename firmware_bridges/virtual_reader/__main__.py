"""`python -m firmware_bridges.virtual_reader`."""

import sys

from firmware_bridges.virtual_reader.run import main

sys.exit(main(sys.argv[1:]))
