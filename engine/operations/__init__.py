"""One file for each operation, declaring OPERATION. `catalogue` finds them by looking into this folder."""
