"""POST /api/v1/assets: a small file in one request, as a raw body or as the field `file` of a form.

It goes to a scratch file piece by piece and no further than the largest small file may be; then the engine
makes of it what is kept.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from rest_framework.renderers import JSONRenderer

from engine.small_files import MOST_BYTES
from problems import Problem
from users.models import User
from videos import storage
from videos.models import Asset
from videos.serializers import AssetSerializer
from videos.services.assets import asset_create, asset_made
from videos.tus.body import Body
from videos.tus.messages import Answer, Request, json_answer
from videos.tus.multipart import form_of
from videos.tus.threads import in_database, on_disk

_MOST = max(MOST_BYTES.values())
_FORM_OVERHEAD = 64 * 1024
_REFUSED_TYPES = {"application/json", "text/html"}
# Decoding takes memory and a processor, so the rest waits.
AT_ONCE = 2


async def asset_post(request: Request, body: Body, caller: User, turns: asyncio.Semaphore) -> Answer:
    """Take the file and answer with the asset. `turns` are for the engine's work."""
    if request.content_type in _REFUSED_TYPES:
        raise Problem("unsupported_media_type", content_type=request.content_type)
    if (request.content_length or 0) > _MOST + _FORM_OVERHEAD:
        raise Problem("upload_too_large", size=request.content_length, limit=_MOST)
    await on_disk(storage.room_check, request.content_length or 0)
    with ExitStack() as stack:
        folder = await on_disk(stack.enter_context, storage.asset_scratch())
        origin = folder / "sent"
        filename = await _received(request, body, origin)
        async with turns:
            made = await on_disk(asset_made, origin=origin, folder=folder)
        asset = await in_database(asset_create, owner=caller, made=made, filename=filename)
    document = await in_database(_document, asset, request)
    return json_answer(201, document, Location=f"/api/v1/assets/{asset.pk}")


async def _received(request: Request, body: Body, origin: Path) -> str:
    """Writes the file and returns its name."""
    form = form_of(request)
    size = 0
    with origin.open("xb") as file:
        while (piece := await body.next()) is not None:
            for part in [piece] if form is None else form.feed(piece):
                size += len(part)
                if size > _MOST:
                    raise Problem("upload_too_large", size=size, limit=_MOST)
                await on_disk(_written, file, part)
    named = request.query.get("filename", "")
    if form is not None:
        form.close()
    return named or (form.filename if form is not None else None) or ""


def _written(file: IO[bytes], part: bytes) -> None:
    try:
        file.write(part)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Problem("storage_full") from error
        raise


def _document(asset: Asset, request: Request) -> Any:
    return JSONRenderer().render(AssetSerializer(asset, context={"request": request.for_django()}).data)
