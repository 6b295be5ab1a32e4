"""The random streams once more, in plain Python integers."""

from collections.abc import Iterator

MASK32, MASK64 = 2**32 - 1, 2**64 - 1
LANES = 8
PURPOSES = {"input": 0, "weights": 1, "bias": 2, "cotangent": 3, "probe": 4, "matrix": 5,
            "mask": 6}  # fmt: skip


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox4x32-10 of Salmon et al., SC'11."""
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        left, right = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (right >> 32) ^ b ^ k0, right & MASK32, (left >> 32) ^ d ^ k1, left & MASK32
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return a, b, c, d


def rotate(x: int, k: int) -> int:
    return (x << k | x >> (64 - k)) & MASK64


def xoshiro(state: list[int]) -> Iterator[int]:
    """xoshiro256++ of Blackman and Vigna."""
    s = list(state)
    while True:
        yield (rotate((s[0] + s[3]) & MASK64, 23) + s[0]) & MASK64
        shifted = s[1] << 17 & MASK64
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = rotate(s[3], 45)


def counter(trial: int, layer: int, purpose: int, block: int, call: int) -> tuple[int, ...]:
    """What Philox counts for one of a stream's calls, as four numbers of 32 bits."""
    return block, layer, trial & MASK32, trial >> 32 | purpose << 16 | call << 24


def words(seed: int, trial: int, layer: int, purpose: str, block: int, n: int) -> list[int]:
    """The first n words of a stream."""
    key = (seed & MASK32, seed >> 32)
    calls = [
        philox(counter(trial, layer, PURPOSES[purpose], block, call), key)
        for call in range(2 * LANES)
    ]
    lanes = []
    for lane in range(LANES):
        first, second = calls[lane], calls[lane + LANES]
        lanes.append(
            xoshiro(
                [
                    first[1] << 32 | first[0],
                    first[3] << 32 | first[2],
                    second[1] << 32 | second[0],
                    second[3] << 32 | second[2],
                ]
            )
        )
    return [next(lanes[i % LANES]) for i in range(n)]
