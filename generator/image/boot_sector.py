"""Knows how GRUB's boot.img and core.img find each other on a disk: what grub-bios-setup writes, without a device.

grub-bios-setup needs the disk and its file systems as devices of the running kernel, which an image builder cannot
count on. What it does for a BIOS boot partition is to write two numbers (GRUB, include/grub/i386/pc/boot.h,
include/grub/offsets.h, util/setup.c).
"""

SECTOR = 512
# GRUB_BOOT_MACHINE_KERNEL_SECTOR: where boot.img finds the first sector of core.img.
_KERNEL_SECTOR = 0x5C
# GRUB_BOOT_MACHINE_DRIVE_CHECK: a jump that util/setup.c replaces by two NOPs when the target is a hard disk.
_DRIVE_CHECK = 0x66
# The first block list of core.img, at the end of its first sector: u64 start, u16 length, u16 segment.
_BLOCK_LIST = SECTOR - 12
# boot.img's code; from here on the disk signature and the partition table follow (GRUB_BOOT_MACHINE_WINDOWS_NT_MAGIC).
_CODE = 0x1B8


def link_boot_code(boot: bytes, core: bytes, sector: int) -> tuple[bytes, bytes]:
    """The code for the disk's first 440 bytes, and core.img for `sector` on. ValueError when these are not GRUB's."""
    if len(boot) != SECTOR or boot[-2:] != b"\x55\xaa" or len(core) <= SECTOR:
        raise ValueError("boot.img or core.img is not GRUB's for BIOS")
    code = bytearray(boot[:_CODE])
    code[_KERNEL_SECTOR : _KERNEL_SECTOR + 8] = sector.to_bytes(8, "little")
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    linked = bytearray(core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0"))
    linked[_BLOCK_LIST : _BLOCK_LIST + 8] = (sector + 1).to_bytes(8, "little")
    return bytes(code), bytes(linked)
