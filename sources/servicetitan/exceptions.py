"""What can go wrong while reading ServiceTitan.

    ServiceTitanError
    ├── CatalogError
    │   ├── UnknownEntityError      a name that is in no table
    │   └── NotListableError        a name that ServiceTitan does not let one read
    ├── CredentialsError            the token endpoint refused the client
    ├── UnreachableError            no answer within the retries
    ├── NotAvailableError           403: the application may not read this entity
    │   └── NotFoundError           404: the tenant does not have it
    ├── RequestRefusedError         any other 4xx
    ├── ProtocolError               an answer that is not what the API promises
    └── StoppedError                the process was told to stop, while a request waited for its turn

Messages say what happened, the value, what is allowed and what to do; they never hold a secret.
"""


class ServiceTitanError(Exception):
    """Something went wrong while reading ServiceTitan."""


class CatalogError(ServiceTitanError):
    """A name does not lead to a readable entity."""


class UnknownEntityError(CatalogError):
    """A name that is in no table."""


class NotListableError(CatalogError):
    """A name that ServiceTitan does not let one read."""


class CredentialsError(ServiceTitanError):
    """ServiceTitan refused the credentials."""


class UnreachableError(ServiceTitanError):
    """ServiceTitan gave no usable answer within the retries."""


class NotAvailableError(ServiceTitanError):
    """The tenant does not have this entity, or the application may not read it."""


class NotFoundError(NotAvailableError):
    """There is nothing at this address."""


class RequestRefusedError(ServiceTitanError):
    """ServiceTitan refused a request as wrong."""


class ProtocolError(ServiceTitanError):
    """An answer is not what the API promises."""


class StoppedError(ServiceTitanError):
    """The service was stopped; the next run goes on where this one was."""
