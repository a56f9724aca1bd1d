# Each command and flag of NBD, and the error for each mistake, for nbdsh: `h` is the connection to
# a vdisk of 64 MiB that was never written to.

K, M = 1 << 10, 1 << 20
FUA, DF, ONE = nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_DF, nbd.CMD_FLAG_REQ_ONE
HOLE, FAST = nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO
assert h.get_size() == 64 * M and h.get_structured_replies_negotiated()
assert [h.get_block_size(i) for i in range(3)] == [1, 4 * K, 32 * M]

def chunks(count, offset, flags=0):
    found = []
    h.pread_structured(count, offset, lambda data, at, kind, error:
        found.append((at, len(data), kind, not any(data))), flags)
    return sorted(found)

def status(count, offset, flags=0):
    found = []
    h.block_status(count, offset, lambda name, at, entries, error:
        found.append((name, at, entries)), flags)
    [(name, at, entries)] = found
    assert name == "base:allocation" and at == offset
    return entries

# Writes, and reads in one piece and in several.
h.pwrite(b"1" * 64 * K, 1 * M)
h.pwrite(b"2" * 100, 2 * M + 3, FUA)
h.flush()
assert chunks(64 * K, M) == [(M, 64 * K, nbd.READ_DATA, False)]
assert chunks(64 * K, 5 * M) == [(5 * M, 64 * K, nbd.READ_HOLE, True)]
assert chunks(66 * K, M - K) == [(M - K, K, nbd.READ_HOLE, True),
    (M, 64 * K, nbd.READ_DATA, False), (M + 64 * K, K, nbd.READ_HOLE, True)]
assert chunks(66 * K, M - K, DF) == [(M - K, 66 * K, nbd.READ_DATA, False)]
h.pwrite(b"4" * K, M + 192 * K)
parts = [(M - K, K, nbd.READ_HOLE, True), (M, 64 * K, nbd.READ_DATA, False),
    (M + 64 * K, 128 * K, nbd.READ_HOLE, True), (M + 192 * K, 64 * K, nbd.READ_DATA, False),
    (M + 256 * K, K, nbd.READ_HOLE, True)]
assert chunks(258 * K, M - K) == parts
assert chunks(258 * K, M - K, DF) == [(M - K, 258 * K, nbd.READ_DATA, False)]
h.trim(64 * K, M + 192 * K)
assert h.pread(100, 2 * M + 3) == b"2" * 100
assert h.pread(32 * M, 0)[M:M + 64 * K] == b"1" * 64 * K
h.pwrite(b"3" * 32 * M, 32 * M)
assert h.pread(32 * M, 32 * M) == b"3" * 32 * M
assert chunks(32 * M, 32 * M, DF) == [(32 * M, 32 * M, nbd.READ_DATA, False)]

# What lies where.
assert status(64 * M, 0) == [M, 3, 64 * K, 0, 960 * K, 3, 4 * K, 0, 30 * M - 4 * K, 3, 32 * M, 0]
assert status(64 * M, 0, ONE) == [M, 3]
assert status(64 * K, M + 5, ONE) == [64 * K - 5, 0]
assert status(1, 63 * M) == [1, 0]

# Holes and zeroes.
h.trim(8 * M, 32 * M, FUA)
assert status(32 * M, 32 * M) == [8 * M, 3, 24 * M, 0]
h.zero(8 * M, 40 * M, FUA)
h.zero(8 * M, 48 * M, HOLE)
h.zero(8 * M, 56 * M, FAST)
assert status(32 * M, 32 * M) == [16 * M, 3, 8 * M, 0, 8 * M, 3]
assert h.pread(32 * M, 32 * M).count(0) == 32 * M
h.zero(3, M + 1)
assert h.pread(5, M) == b"1\0\0\0001"
h.cache(64 * M, 0)

# Mistakes, which this library would not make by itself.
h.set_strict_mode(0)

def refused(errno, call, *arguments):
    try:
        call(*arguments)
    except nbd.Error as error:
        assert error.errno == errno, (errno, error)
    else:
        assert False, (errno, arguments)

end = 64 * M
refused("EINVAL", h.pread, 1, end)
refused("EINVAL", h.cache, 1, end)
refused("EINVAL", h.trim, 2, end - 1)
refused("EINVAL", status, 2, end - 1)
refused("ENOSPC", h.pwrite, b"xx", end - 1)
refused("ENOSPC", h.zero, 2, end - 1)
refused("ENOTSUP", h.zero, 2, 0, FAST | HOLE)
refused("EINVAL", h.pread, 1, 0, ONE)
refused("EINVAL", h.pwrite, b"x", 0, DF)
refused("EINVAL", h.trim, 1, 0, HOLE)
refused("EINVAL", h.cache, 1, 0, DF)
refused("EINVAL", h.flush, 1 << 9)
refused("EINVAL", status, 1, 0, FAST)
assert h.pread(1, 0) == b"\0"
