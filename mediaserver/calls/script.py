"""Documents on calls: fetching one, carrying it out, and saying what was wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..swml.document import Document
from ..swml.errors import ScriptError
from ..swml.interpreter import Interpreter
from .document_source import Found, NoDocument
from .documents import DocumentRefused
from .performance import Performance
from .source import Source

if TYPE_CHECKING:
    from .call import Call


async def run_script(call: Call, source: Source, envs: Mapping[str, Any]) -> None:
    """Carry out a document from its first step to its last.

    One that cannot be had or cannot be run ends the call, and is told of.
    """
    listener = {source.status_url} if source.status_url else set()
    try:
        found = await _find(call, source, envs)
        for fault in found.faults:
            _report(call, fault.error, listener.union(fault.status_urls))
        engine = call.services.scripts.engine
        interpreter = Interpreter(found.document, call=call.description, envs=envs, engine=engine)
        await Performance(call, interpreter, found.folder, source.status_url).run()
    except NoDocument as missing:
        for fault in missing.faults:
            _report(call, fault.error, listener.union(fault.status_urls))
        call.hang_up("error", status=missing.status)
    except DocumentRefused as refused:
        _report(call, refused.error, listener.union(refused.status_urls))
        call.hang_up("error", status=500)
    except ScriptError as error:
        _report(call, error, listener)
        call.hang_up("error", status=500)


async def _find(call: Call, source: Source, envs: Mapping[str, Any]) -> Found:
    if isinstance(source.document, Document):
        return Found(source.document, None)
    document = source.document
    if (found := call.services.documents.at_hand(document)) is not None:
        return found
    request = {"call": call.description, "vars": {}, "envs": dict(envs), "params": {}}
    if document.allow is None:
        document = replace(document, allow=call.allow)
    return await call.unless_over(call.services.documents.fetch(document, request))


def _report(call: Call, error: ScriptError, urls: set[str], *, harmless: bool = False) -> None:
    """Say what is wrong with a document: in the log, and to whoever wants to know."""
    say = call.log.warning if harmless else call.log.error
    say("document refused", code=error.code, path=error.path, error=error.message)
    told = {"error": {"code": error.code, "path": error.path, "message": error.message}}
    for number, url in enumerate(sorted(urls)):
        call.announcer.say("calling.script.warning", told, url, f"{call.id}-script-{number}")
