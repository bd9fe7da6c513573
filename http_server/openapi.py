"""Knows how the route table reads as an OpenAPI 3.1 document. All of it comes from the table and the handlers."""

import inspect
import re
from collections.abc import Mapping

from http_server.model import Auth
from http_server.routes import ROUTES, Listener, Route
from http_server.wire import JSON

VERSION = "3.1.0"
SCHEMES = {
    Auth.ENROLMENT: "`Enrolment ID:SECRET` of a sealed seed, or `Pending NODE`",
    Auth.NODE: "`Node NAME:CREDENTIAL`",
}
ERROR = {
    "type": "object",
    "required": ["error", "message", "request"],
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}, "request": {"type": "string"}},
    "additionalProperties": False,
}


def document(listener: Listener) -> Mapping[str, object]:
    """All routes of one listener. The operator's socket and the status page prove who asks by where they listen."""
    paths: dict[str, dict[str, object]] = {}
    for route in ROUTES:
        if route.listener is listener:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    schemes = {
        str(auth): {"type": "apiKey", "in": "header", "name": "Authorization", "description": words}
        for auth, words in SCHEMES.items()
    }
    return {
        "openapi": VERSION,
        "info": {"title": f"kubeseed coordinator, {listener} listener", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": schemes, "schemas": {"Error": ERROR}},
    }


def _operation(route: Route) -> Mapping[str, object]:
    words = " ".join((inspect.getdoc(route.handler) or "").split())
    operation: dict[str, object] = {
        "operationId": f"{route.method} {route.path}",
        "description": words.partition(": ")[2] or words,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in re.findall(r"\{(\w+)\}", route.path)
        ],
        "responses": {
            "200": {"description": "done; the body is the thing asked for"},
            "202": {"description": "accepted, not yet: ask again after Retry-After seconds"},
            "304": {"description": "the caller has these bytes"},
            "default": {
                "description": "refused",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.auth in SCHEMES:
        operation["security"] = [{str(route.auth): []}]
        operation["x-who"] = str(route.who)
    if route.body:
        operation["requestBody"] = {
            "description": f"at most {route.body} bytes",
            "content": {route.media_type: {"schema": _schema(route.media_type)}},
        }
    return operation


def _schema(media_type: str) -> Mapping[str, object]:
    """What fields a form has is its handler's grammar; docs/protocol.md has them in words."""
    if media_type == JSON:
        return {"type": "object"}
    if media_type == "application/x-www-form-urlencoded":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "string", "contentMediaType": media_type}
