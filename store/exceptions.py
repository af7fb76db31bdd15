"""What can go wrong with settings and stores.

    StoreError
    ├── SettingsError       a setting is missing or malformed
    ├── StoreUnreachableError    PostgreSQL does not answer
    ├── StoreSessionError        a pooler keeps no sessions where one is needed
    ├── StoreRightsError         the role lacks a right
    ├── StoreUnfitError          the database is of a kind that cannot be used
    ├── StoreLockedError    another process holds the DuckDB file
    ├── StoreMemoryError    a load needs more memory than it was to keep to
    ├── StoreUnwritableError     the data folder cannot be written
    ├── OvertakenError           (pipelines/swapping.py) another process changed a table since it was read
    ├── CheckoutNeededError      (store/project.py) an installation's files would be changed
    └── TakenError          a row that there may be only once is there already

Every message says what happened, the value, what is allowed and what to do; none holds a secret.
"""


class StoreError(Exception):
    """Something is wrong with a setting or a store."""


class SettingsError(StoreError):
    """A setting is missing or malformed."""


class StoreUnreachableError(StoreError):
    """PostgreSQL does not answer."""


class StoreSessionError(StoreError):
    """A pooler between here and PostgreSQL keeps no sessions, and one is needed."""


class StoreRightsError(StoreError):
    """The role may not do what is needed."""


class StoreUnfitError(StoreError):
    """The database is of a version or kind that cannot be used."""


class StoreLockedError(StoreError):
    """Another process holds the DuckDB file."""


class StoreMemoryError(StoreError):
    """A load needs more memory than it was to keep to."""


class StoreUnwritableError(StoreError):
    """The data folder cannot be written."""


class TakenError(StoreError):
    """A row that there may be only once is there already."""
