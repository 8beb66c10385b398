"""From a request to a plain function and back: arguments, JSON, errors."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aurefine.errors import AurefineError, OptionError
from aurefine.gui.folder import ForbiddenPathError, MissingFileError

__all__ = ["Answer", "Question", "get", "post"]

Answer = Response | dict[str, Any] | list[Any]


class Question:
    """The arguments of a request: of the address for GET, of the JSON body for POST.

    Parameters
    ----------
    values : dict
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text argument.

        Raises
        ------
        OptionError
            If it is missing or no text.
        """
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise OptionError(f"the request lacks the text '{name}'.")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """Return a whole number.

        Raises
        ------
        OptionError
            If it is missing or no number.
        """
        value = self.values.get(name, default)
        try:
            return int(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise OptionError(f"the request lacks the whole number '{name}'.") from None

    def texts(self, name: str) -> dict[str, str]:
        """Return a table of texts.

        Raises
        ------
        OptionError
            If it is missing or of another form.
        """
        value = self.values.get(name)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise OptionError(f"the request lacks the table of texts '{name}'.")
        return {str(key): text for key, text in value.items()}

    def flag(self, name: str) -> bool:
        """Whether an argument is present and true."""
        return self.values.get(name) in (True, "1", "true")


Handler = Callable[[Question], Answer]


def get(path: str, handler: Handler) -> Route:
    """Answer GET requests with a function that runs in a thread."""

    async def endpoint(request: Request) -> Response:
        return await _answer(handler, dict(request.query_params))

    return Route(path, endpoint, methods=["GET"])


def post(path: str, handler: Handler) -> Route:
    """Answer POST requests with a JSON body with a function that runs in a thread."""

    async def endpoint(request: Request) -> Response:
        try:
            values = json.loads(await request.body())
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            return JSONResponse({"error": "Expected a JSON object."}, 400)
        return await _answer(handler, values)

    return Route(path, endpoint, methods=["POST"])


async def _answer(handler: Handler, values: dict[str, Any]) -> Response:
    try:
        result = await run_in_threadpool(handler, Question(values))
    except ForbiddenPathError as error:
        return _failure(403, error)
    except MissingFileError as error:
        return _failure(404, error)
    except AurefineError as error:
        return _failure(400, error)
    except OSError as error:
        return _failure(400, error.strerror or error)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return _failure(500, f"unexpected {type(error).__name__}: {error}. This is a defect.")
    return result if isinstance(result, Response) else JSONResponse(result)


def _failure(status: int, error: object) -> Response:
    return JSONResponse({"error": str(error)}, status)
