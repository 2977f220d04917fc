"""Everything that can go wrong for a caller, one class each.

Knows the HTTP status and OGC exception type of each error; does not know HTTP itself (``api.app`` turns
these into ``application/problem+json``, RFC 7807). Messages are sentences that say what to do.

    BackendError
    |- InvalidInput        400  a field is wrong; names the field, the value and what is allowed
    |  `- TooLarge         413  the request is well formed but above a limit of this server
    |- Unauthorized        401  no token, or an expired one
    |  `- WrongToken       401  a token that is not known
    |- Forbidden           403  Host or Origin not allowed
    |- NoSuchProcess       404
    |- NoSuchJob           404  also for jobs of other owners
    |- ResultNotReady      404
    |- NoSuchResult        404  the job has no such output, or it has expired
    |- NoSuchUpload        404  also for uploads of other owners
    |- TooSlow             408  the body does not come
    |- Conflict            409  an Idempotency-Key came back with another body
    |- TooManyJobs         429  carries retry_after
    |- ModelUnavailable    503  the model is not installed, or cannot be loaded; says how to get it
    |- Busy                503  another program holds the job store; carries retry_after
    |- NotReady            503  what a probe is told while no job would be made
    |- Draining            503  an administrator lets no new jobs in; carries retry_after
    |- StorageFull         507  not enough disk for the job
    `- JobFailed           500  what a failed job answers when its results are asked for
    Cancelled, Declined         control flow inside the worker, never an HTTP answer
"""

from __future__ import annotations

from typing import Self

_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


class BackendError(Exception):
    """Base of all errors that reach a caller."""

    status = 500
    title = "Internal error"
    type = "about:blank"
    retry_after: int | None = None

    def problem(self) -> dict[str, object]:
        """Return the RFC 7807 members of this error."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": str(self),
        }


class InvalidInput(BackendError):
    """One field of the request is wrong."""

    status = 400
    title = "Invalid input"

    def __init__(self, field: str, detail: str, *, value: object = None, allowed: str | None = None) -> None:
        """Describe the wrong ``field`` (dotted path), its ``value`` and what would be ``allowed``."""
        super().__init__(detail)
        self.field = field
        self.value = value
        self.allowed = allowed

    def named(self, field: str) -> Self:
        """Return the same refusal of another field: the one that the caller sent."""
        return type(self)(field, str(self), value=self.value, allowed=self.allowed)

    def within(self, parent: str) -> Self:
        """Return the same refusal of a member of ``parent``: of inputs that are an input themselves."""
        return self.named(f"{parent}.{self.field}")

    def problem(self) -> dict[str, object]:
        """Return the RFC 7807 members plus ``field``, ``value`` (shortened) and ``allowed``."""
        shown = self.value if isinstance(self.value, int | bool) else str(self.value)[:200]
        extra = {"field": self.field, "value": None if self.value is None else shown}
        return super().problem() | extra | ({"allowed": self.allowed} if self.allowed else {})


class TooLarge(InvalidInput):
    """The request is above a limit of this server."""

    status = 413
    title = "Request too large"


class Unauthorized(BackendError):
    """No token, or an unknown one."""

    status = 401
    title = "Unauthorized"


class WrongToken(Unauthorized):
    """A token that is not known."""


class Forbidden(BackendError):
    """The Host or Origin header is not allowed."""

    status = 403
    title = "Forbidden"


class NoSuchProcess(BackendError):
    """The process does not exist here."""

    status = 404
    title = "No such process"
    type = _OGC + "no-such-process"


class NoSuchJob(BackendError):
    """The job does not exist, or belongs to somebody else."""

    status = 404
    title = "No such job"
    type = _OGC + "no-such-job"


class ResultNotReady(BackendError):
    """The job has not finished."""

    status = 404
    title = "Result not ready"
    type = _OGC + "result-not-ready"


class NoSuchResult(BackendError):
    """The job has no such output, or it has expired."""

    status = 404
    title = "No such result"


class NoSuchUpload(BackendError):
    """The upload does not exist, has expired, or belongs to somebody else."""

    status = 404
    title = "No such upload"


class Conflict(BackendError):
    """An Idempotency-Key was used again with another request."""

    status = 409
    title = "Conflict"


class TooSlow(BackendError):
    """The body of a request does not come."""

    status = 408
    title = "Request timeout"

    def __init__(self) -> None:
        super().__init__("The body of the request came too slowly. Send it again, large files in pieces.")


class TooManyJobs(BackendError):
    """The owner has as many unfinished jobs as the server allows."""

    status = 429
    title = "Too many jobs"

    def __init__(self, detail: str, retry_after: int) -> None:
        """Carry the number of seconds after which to try again."""
        super().__init__(detail)
        self.retry_after = retry_after


class ModelUnavailable(BackendError):
    """The model is not installed, or cannot be loaded."""

    status = 503
    title = "Model unavailable"


class Busy(BackendError):
    """Another program holds the job store."""

    status = 503
    title = "Busy"
    retry_after = 5

    def __init__(self) -> None:
        super().__init__(
            "Another program, a backup perhaps, holds the backend's job store. Try again in some seconds."
        )


class Draining(BackendError):
    """An administrator lets no new jobs in."""

    status = 503
    title = "Not taking jobs"
    retry_after = 60

    def __init__(self) -> None:
        super().__init__(
            "The backend takes no new jobs at the moment: its administrator is about to stop it."
            " Those that were sent are kept. Try again later."
        )


class NotReady(BackendError):
    """A job would not be made now."""

    status = 503
    title = "Not ready"
    retry_after = 5


class StorageFull(BackendError):
    """Not enough disk for the job."""

    status = 507
    title = "Not enough storage"


class JobFailed(BackendError):
    """The job ended in an error."""

    title = "Job failed"


class Cancelled(Exception):
    """The job was dismissed, or its lease was lost: stop at once, keep nothing."""


class Declined(Exception):
    """The scene is being made by another worker on another profile: leave it to that one."""
