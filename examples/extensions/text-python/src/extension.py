"""`@examples/text-python`: profiles a text file of a granted directory. A complete model extension, in Python.

The packages `wit_world` and `componentize_py_types` are made by `componentize-py` from the WIT of the world.
"""

import json
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import blobs, data, errors, files
from wit_world.imports.types import Failure, Invocation, Outcome

import text_profile

# Largest file that is read into the guest's memory: 16 MiB, of the 256 MiB a guest has.
TEXT_BYTES_MAX = 16 * 1024 * 1024

# Most bytes of one call across the boundary, as `peat:host/blobs` sets it: 1 MiB.
CHUNK_BYTES_MAX = 1024 * 1024


@dataclass
class Arguments:
    """Where the file is, and how many terms to keep. The host has checked them against the schema of the metadata."""

    path: str
    directory: str = "source"
    top: int = 10

    @classmethod
    def read(cls, text: str) -> "Arguments":
        arguments = cls(**json.loads(text))
        if type(arguments.top) is not int:
            raise problem(errors.ErrorKind_InvalidInput(), "arguments", "top is not a whole number")
        return arguments


class Methods(exports.Methods):
    """What the world exports."""

    async def run(self, invocation: Invocation) -> Outcome:
        try:
            match invocation.method:
                case "profile":
                    return Outcome(summary=await profile(Arguments.read(invocation.arguments)))
                case _:
                    unsupported = errors.ErrorKind_Unsupported()
                    raise problem(unsupported, invocation.method, "there is no such method")
        except Err as error:
            raise Err(failure_of(error.value)) from None


async def profile(arguments: Arguments) -> str:
    """The method: answers its summary."""
    folder = await files.open(arguments.directory)
    content = await read_all(arguments.path, await folder.read(arguments.path))
    profiled = text_profile.of(arguments.path, text_of(arguments.path, content), arguments.top)
    await write_json("profile", profiled)
    return "{path}: {lines} lines, {words} words, {bytes} bytes".format(**profiled)


async def read_all(path: str, blob: blobs.Blob) -> bytes:
    """All bytes of a file."""
    size = blob.size()
    if size > TEXT_BYTES_MAX:
        message = f"it has {size} bytes, more than the {TEXT_BYTES_MAX} that this extension reads"
        raise problem(errors.ErrorKind_Exhausted(), path, message)
    content = bytearray()
    while len(content) < size:
        chunk = await blob.read(len(content), CHUNK_BYTES_MAX)
        if not chunk:
            raise problem(errors.ErrorKind_Corrupt(), path, f"it ended after {len(content)} bytes")
        content += chunk
    return bytes(content)


def text_of(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            reason = "incomplete utf-8 byte sequence"
        else:
            reason = f"invalid utf-8 sequence of {error.end - error.start} bytes"
        message = f"{path} is not UTF-8 text: {reason} from index {error.start}"
        raise problem(errors.ErrorKind_Corrupt(), path, message) from None


async def write_json(name: str, value: object) -> None:
    """Writes a data item, indented and with a last newline."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    content = await content_of(text.encode())
    await data.write(name, content, data.Attributes(content_type="application/json", lifetime=None, tags=[]))


async def content_of(content: bytes) -> blobs.Blob:
    """A handle to these bytes, which may be more than go through one call."""
    if len(content) <= CHUNK_BYTES_MAX:
        return blobs.Blob.of_bytes(content)
    writer = blobs.Writer()
    for place in range(0, len(content), CHUNK_BYTES_MAX):
        await writer.write(content[place : place + CHUNK_BYTES_MAX])
    return await writer.finish()


def problem(kind: errors.ErrorKind, subject: str, message: str) -> Err:
    """An error of this extension, as one of the host would be."""
    return Err(errors.Error(kind, subject, message))


def failure_of(error: errors.Error) -> Failure:
    """The run fails with the error's message and, unless that names it, what it is about."""
    transient = (errors.ErrorKind_Unavailable, errors.ErrorKind_Conflict, errors.ErrorKind_Held)
    named = error.subject in error.message
    message = error.message if named else f"{error.subject}: {error.message}"
    return Failure(message=message, transient=isinstance(error.kind, transient))
