"""What can go wrong with the original's database.

StoreError
└── LegacyError     it cannot be reached, or is not what it is taken for; the message never holds a password
"""

from store.exceptions import StoreError


class LegacyError(StoreError):
    """The original's database cannot be taken over."""
