"""Knows the public files of network boot: where machines begin, iPXE itself, kernels, initramfs and images."""

from http_server.assets import BOOT_PROGRAMS, plain_file
from http_server.errors import ApiError
from http_server.service.context import Context
from http_server.wire import BYTES, Answer, Call


def entry(context: Context, call: Call) -> Answer:
    """GET /boot.ipxe: where every machine begins."""
    del call
    return Answer(file=plain_file(context.settings.out.pxe / "boot.ipxe"))


def program(context: Context, call: Call) -> Answer:
    """GET /tftp/{name}: iPXE itself, for UEFI's HTTP boot."""
    if call.path["name"] not in BOOT_PROGRAMS:
        raise ApiError(404, "not-found", "no such file")
    return Answer(file=plain_file(context.settings.tftp / call.path["name"]), media_type=BYTES)


def asset(context: Context, call: Call) -> Answer:
    """GET /assets/{digest}: a file that some image names by its SHA-256; ranges work (RFC 9110, section 14)."""
    return Answer(file=plain_file(context.images.path(call.path["digest"])), media_type=BYTES)
