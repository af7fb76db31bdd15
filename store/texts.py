"""How much of a text warehouses sort by and compare: PostgreSQL refuses a row whose entry in an index has 2,700 bytes."""

SORTED_CHARACTERS = 200
COMPARED_CHARACTERS = 500  # more than twice as many as a value that is looked for may have, so that comparing is exact
