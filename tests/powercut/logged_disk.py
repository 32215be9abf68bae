#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that notes what is written to it, in its order.

    logged_disk.py MOUNTPOINT IMAGE LOG

At MOUNTPOINT appear, by FUSE, two files: `disk`, whose content is IMAGE, to be put under a loop
device; and `notes`, which takes whatever somebody wants to have noted between the writes. A loop
device writes through to its file, and hands a flush of its file system on as an fsync. LOG gets an
entry for each: kind (W write, F flush, N note), offset, size, and the bytes. Ends when unmounted.
"""
import errno
import os
import stat
import struct
import sys

import pyfuse3
import trio

HEAD = struct.Struct("<cQI")
DISK, NOTES = pyfuse3.ROOT_INODE + 1, pyfuse3.ROOT_INODE + 2
NAMES = {b"disk": DISK, b"notes": NOTES}


def entries(log_path):
    """(kind, offset, bytes) of a log."""
    with open(log_path, "rb") as log:
        while len(head := log.read(HEAD.size)) == HEAD.size:
            kind, offset, size = HEAD.unpack(head)
            yield kind, offset, log.read(size)


class LoggedDisk(pyfuse3.Operations):
    def __init__(self, image, log):
        super().__init__()
        self.image = os.open(image, os.O_RDWR)
        self.log = open(log, "wb", buffering=0)

    def note(self, kind, offset=0, data=b""):
        self.log.write(HEAD.pack(kind, offset, len(data)) + data)

    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = stat.S_IFDIR | 0o700 if inode == pyfuse3.ROOT_INODE else stat.S_IFREG | 0o600
        entry.st_nlink = 1
        entry.st_size = os.fstat(self.image).st_size if inode == DISK else 0
        return entry

    async def setattr(self, inode, attr, fields, fh, ctx):  # times
        return await self.getattr(inode)

    async def lookup(self, parent, name, ctx=None):
        if name not in NAMES:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(NAMES[name])

    async def open(self, inode, flags, ctx):
        return pyfuse3.FileInfo(fh=inode, direct_io=inode == NOTES)

    async def read(self, fh, offset, size):
        return os.pread(self.image, size, offset)

    async def write(self, fh, offset, data):
        if fh == NOTES:
            self.note(b"N", 0, data)
        else:
            os.pwrite(self.image, data, offset)
            self.note(b"W", offset, data)
        return len(data)

    async def fsync(self, fh, datasync):
        self.note(b"F")

    async def flush(self, fh):
        pass

    async def release(self, fh):
        pass


def main(mountpoint, image, log):
    pyfuse3.init(LoggedDisk(image, log), mountpoint, {"fsname=fieldpost-test", "subtype=logged"})
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
