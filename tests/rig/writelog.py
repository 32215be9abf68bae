# SPDX-License-Identifier: Apache-2.0
"""The log of QEMU's blklogwrites, and the disk that a power cut would have left.

The format is that of Linux's dm-log-writes: a head, then entries, each with the data it wrote. QEMU
does not keep the head's count up to date; the entries end at the first that is all zero.
"""
import collections
import struct

FLUSH, FUA, DISCARD = 1, 2, 4
MAGIC = 0x6A736677736872
PIECE = 4096  # what a disk writes whole
Entry = collections.namedtuple("Entry", "where length flags data")


class WriteLog:
    """Of a machine that may still run: what is written goes on being found."""

    def __init__(self, path):
        self.file = open(path, "rb", buffering=0)  # pylint: disable=consider-using-with
        self.entries = []
        self.sector = self.at = None

    def count(self):
        """How many entries there are by now. An entry is there before the guest knows its write is done."""
        if self.sector is None:
            head = self.file.read(28)
            magic, version, _, self.sector = struct.unpack("<QQQI", head)
            if magic != MAGIC or version != 1:
                raise ValueError(f"{self.file.name} is no write log")
            self.at = self.sector
        while True:
            self.file.seek(self.at)
            head = self.file.read(32)
            if len(head) < 32:
                return len(self.entries)
            sector, count, flags, _ = struct.unpack("<QQQQ", head)
            if not count and not flags:
                return len(self.entries)
            self.at += self.sector
            self.entries.append(Entry(sector * self.sector, count * self.sector, flags, self.at))
            if not flags & DISCARD:
                self.at += count * self.sector

    def replay(self, base, end, keep, deaf=0):
        """The disk's bytes after a power cut behind `end` entries: all that was written before the last
        flush, and of what came after it the pieces for which keep() is true. A disk that is deaf took no
        notice of flushes among so many of the last entries."""
        last = max((i for i in range(end - deaf) if self.entries[i].flags & FLUSH), default=-1)
        disk = bytearray(base)
        for i, entry in enumerate(self.entries[:end]):
            for offset in range(0, entry.length, PIECE):
                certain = i <= last or (entry.flags & FUA and not deaf)
                if not certain and not keep():
                    continue
                size = min(PIECE, entry.length - offset)
                if entry.flags & DISCARD:
                    data = bytes(size)
                else:
                    self.file.seek(entry.data + offset)
                    data = self.file.read(size)
                disk[entry.where + offset:entry.where + offset + size] = data
        return disk

    def unflushed(self, end):
        """How many entries at `end` a disk may still have had in its cache."""
        last = max((i for i in range(end) if self.entries[i].flags & FLUSH), default=-1)
        return end - 1 - last
