"""The RFC 9457 form of a problem, the same wherever a program meets one."""

from __future__ import annotations

from typing import Any

from problems import Problem

CONTENT_TYPE = "application/problem+json"


def problem_document(problem: Problem, *, request_id: str) -> dict[str, Any]:
    """The members of `application/problem+json` for this problem; data of the problem comes along."""
    kind = problem.kind
    return {
        **problem.data,
        "type": f"/api/docs#problem-{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": kind.code,
        "hint": kind.hint,
        "retryable": kind.retryable,
        "request_id": request_id,
        "errors": [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in problem.errors
        ],
    }
