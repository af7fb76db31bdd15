"""HEAD: what GET would answer, without the body."""

from typing import TYPE_CHECKING, Any

from litestar.enums import ScopeType

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send


class Head:
    """Asks the application for GET where a consumer asks for HEAD; a stream ends before its first piece."""

    def __init__(self, app: "ASGIApp") -> None:
        """Ask this application."""
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        is_answered = False

        async def receiving() -> "HTTPReceiveMessage":
            return {"type": "http.disconnect"} if is_answered else await receive()  # type: ignore[return-value]

        async def sending(message: "Message") -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        asked: Any = {**scope, "method": "GET"}
        await self.app(asked, receiving, sending)
        whole: Any = scope
        whole.update({**asked, "method": "HEAD"})  # the route and the key, for who watches
