"""What is wrong with a request, as a page: the same words as the API has, and for a part of a page a part."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from api.pages.look import Look
from api.problems import ApiError, NotReadyError, Problem, told
from outbound.exceptions import OutboundError
from store.exceptions import StoreError
from store.reading import BusyError, NotBuiltError, TooSlowError

TOLD = (NotBuiltError, TooSlowError, BusyError)
"""What is wrong with a store that a reader can do something about; of anything else the log alone has the cause."""

NOT_READY = "A store does not answer. The log has the cause under this request's id."
UNEXPECTED = "Something went wrong here. The log has the cause under this request's id."
TITLES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 413: "Too large"}
SERVER_ERROR = 500


class Refused:
    """Makes pages of errors, and writes down what their pages do not tell."""

    def __init__(self, look: Look, log: Any) -> None:
        """How they look and where it is written."""
        self.look, self.log = look, log

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[str]:
        """The page."""
        request_id = str(request.scope["state"].get("request_id", ""))
        problem, headers = as_problem(error, request_id)
        if problem.status >= SERVER_ERROR and not isinstance(error, ApiError):
            self.write(error, request_id)
        whole = not request.headers.get("hx-request") or request.headers.get("hx-boosted")
        template = "problem.html" if whole else "parts/problem.html"
        page = self.look.page(request, template, problem.status, problem=problem)
        page.headers.update(headers)
        return page

    def write(self, error: Exception, request_id: str) -> None:
        """What nobody foresaw stands in the log whole."""
        if isinstance(error, StoreError):
            self.log.warning("store", request_id=request_id, error=str(error))
        else:
            self.log.error("failure", request_id=request_id, error=repr(error), exc_info=error)


def is_for_people(request: Request[Any, Any, Any]) -> bool:
    """Whether a browser looks for a page, where there is none, and not for what the API has."""
    return accepts_pages(request) and not request.url.path.startswith("/api/")


def accepts_pages(request: Request[Any, Any, Any]) -> bool:
    """Whether what asks shows pages to somebody."""
    return "text/html" in request.headers.get("accept", "")


def as_problem(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    """An error as it is told, and the headers that belong to it."""
    match error:
        case ApiError():
            return error.problem(request_id), error.headers
        case OutboundError():
            return told(error).problem(request_id), {}
        case StoreError():
            detail = str(error) if isinstance(error, TOLD) else NOT_READY
            return NotReadyError(detail).problem(request_id), {"Retry-After": "5"}
        case HTTPException() if error.status_code < SERVER_ERROR:
            title = TITLES.get(error.status_code, "Not possible")
            detail = f"{error.detail.rstrip('.')}."
            return Problem("about:blank", title, error.status_code, detail, request_id), dict(error.headers or {})
    return Problem("about:blank", "Internal error", SERVER_ERROR, UNEXPECTED, request_id), {}
