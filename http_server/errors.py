"""Knows what a refusal looks like from outside, and what of it only the log may see."""


class ApiError(Exception):
    """A refused request: HTTP status, stable public code, one public sentence; `cause` is for the log only.

    Whoever may not know why gets the same words as everybody else: see `unauthorised`.
    """

    def __init__(self, status: int, code: str, message: str, *, cause: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.cause = cause
        self.retry_after = retry_after


def unauthorised(cause: str) -> ApiError:
    """401 in the same words for unknown, expired, revoked and wrong."""
    return ApiError(401, "unauthorised", "the credential is unknown, expired, revoked or wrong", cause=cause)


def forbidden(message: str) -> ApiError:
    """403: known, but this may never be had."""
    return ApiError(403, "forbidden", message)


def invalid(field: str, allowed: str) -> ApiError:
    """422: a value outside its grammar. The value itself is never echoed."""
    return ApiError(422, "invalid-value", f"{field}: {allowed}")


def conflict(code: str, message: str) -> ApiError:
    """409: what is asked for contradicts what is already decided."""
    return ApiError(409, code, message)


def unavailable(code: str, message: str, cause: str = "") -> ApiError:
    """503: not now; nothing was changed, ask again."""
    return ApiError(503, code, message, cause=cause, retry_after=5)


class StartError(Exception):
    """The coordinator, or a command beside it, cannot work here: what was found, and what to type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message
