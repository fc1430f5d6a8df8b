"""Bytes on a socket: a request as it is written here, and everything that comes back."""

import asyncio
import contextlib
import dataclasses
import socket
import struct


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    whole: bool  # the body has the length that the head announced, or its last chunk


def asking(port, data, within=60.0):
    """One request on a connection of its own, for callers without an event loop."""
    return asyncio.run(ask(port, data, within))


async def ask(port, data, within=60.0):
    """Sends a request and reads one answer."""
    async with asyncio.timeout(within):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            return await answer(reader)
        finally:
            writer.close()


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = bytearray()
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline() or b"0", 16):
                body += (await reader.readexactly(size + 2))[:-2]
                if reader.at_eof():
                    return Answer(status, headers, bytes(body), False)
            whole = await reader.readline() == b"\r\n"
            return Answer(status, headers, bytes(body), whole)
        body += await reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(status, headers, bytes(body), True)
    return Answer(status, headers, bytes(body), False)


def everything(port, data, within=5.0, source="127.0.0.1"):
    """All bytes that come back until the other side closes, and whether it did; nothing more is sent after `data`."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), within, source_address=(source, 0)) as connection:
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            return received, False
        except ConnectionError:
            pass
    return received, True


def reset(connection):
    """Closes a socket with a reset in place of a good end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
