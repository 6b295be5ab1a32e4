"""The random streams: what they are, bit by bit, and that no two are the same."""

import itertools
import re
from pathlib import Path

import mpmath as mp
import normal_twin
import numpy as np
import pytest
import stream_twin
from levels import HERE, module

from varprop.arguments import MOST_COLUMNS
from varprop.network import MAX_WIDTH

ADDRESSES = [
    (0, 0, 1, "weights", 0),
    (1, 0, 1, "weights", 0),
    (2**64 - 1, 2**48 - 1, 2**32 - 1, "probe", 2**32 - 1),
    (0x123456789ABCDEF, 2**40 + 5, 200, "bias", 7),
    (5, 3, 0, "input", 0),
    (5, 3, 9, "cotangent", 2),
]


def test_the_twin_gives_the_published_answers_of_philox():
    # Random123's known-answer file, philox4x32 with 10 rounds
    ones = 0xFFFFFFFF
    assert stream_twin.philox((0, 0, 0, 0), (0, 0)) == (
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8,
    )  # fmt: skip
    assert stream_twin.philox((ones,) * 4, (ones,) * 2) == (
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD,
    )  # fmt: skip
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert stream_twin.philox(pi, (0xA4093822, 0x299F31D0)) == (
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1,
    )  # fmt: skip


def test_the_twin_gives_the_published_answers_of_xoshiro():
    # the first outputs of the authors' xoshiro256plusplus.c from the state 1, 2, 3, 4
    first = list(itertools.islice(stream_twin.xoshiro([1, 2, 3, 4]), 4))
    assert first == [41943041, 58720359, 3588806011781223, 3591011842654386]


@pytest.mark.parametrize("level", HERE)
@pytest.mark.parametrize("address", ADDRESSES)
def test_words_are_those_of_the_twin(level, address):
    assert module("kernels", level).words(*address, 64).tolist() == stream_twin.words(*address, 64)


def test_golden_numbers(golden):
    kernels = module("kernels", HERE[-1])
    for address in ADDRESSES[:2]:
        for law, single in itertools.product(("normal", "uniform"), (False, True)):
            numbers = kernels.numbers(*address, 32, law, single)
            golden(f"{address} {law} {'single' if single else 'double'}", numbers)


@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize("single", [False, True])
def test_numbers_have_the_same_bits_in_every_instruction_set(law, single):
    runs = [
        module("kernels", level).numbers(3, 1, 4, "weights", 1, 4096, law, single) for level in HERE
    ]
    assert all(run.tobytes() == runs[0].tobytes() for run in runs)


def test_a_longer_stream_begins_with_the_shorter_one():
    kernels = module("kernels", HERE[-1])
    for law, single in itertools.product(("normal", "uniform"), (False, True)):
        short = kernels.numbers(3, 1, 4, "weights", 1, 32, law, single)
        assert np.array_equal(kernels.numbers(3, 1, 4, "weights", 1, 640, law, single)[:32], short)


def test_normals_are_box_and_muller_of_the_words():
    kernels = module("kernels", HERE[-1])
    address = (9, 8, 7, "weights", 6)
    words = kernels.words(*address, 1600).tolist()
    normals = kernels.numbers(*address, 1600)
    with mp.workdps(30):
        for group in range(0, 1600, 16):
            for j in range(8):
                angle_word = words[group + 8 + j]
                u = (mp.mpf(words[group + j] >> 12) + mp.mpf(1) / 2) / 2**52
                radius = mp.sqrt(-2 * mp.log(u))
                fraction = (mp.mpf(angle_word >> 10 & 2**52 - 1) + mp.mpf(1) / 2) / 2**52
                t = (fraction - mp.mpf(1) / 2) * mp.pi / 2
                pair = [radius * mp.cos(t), radius * mp.sin(t)]
                if angle_word >> 62 & 1:
                    pair = [-pair[0], -pair[1]]
                if angle_word >> 63:
                    pair.reverse()
                for place, exact in zip((group + j, group + 8 + j), pair, strict=True):
                    assert abs(normals[place] - exact) <= 1e-15 * radius


def test_single_precision_normals_are_box_and_muller_of_the_halves_of_the_words():
    kernels = module("kernels", HERE[-1])
    address = (9, 8, 7, "weights", 6)
    expected, error = normal_twin.box_muller(kernels.words(*address, 1600))
    normals = kernels.numbers(*address, 3200, single=True).astype(float).reshape(-1, 32)
    assert (np.abs(normals - expected) <= error).all()


def test_no_two_streams_share_a_word():
    kernels = module("kernels", HERE[-1])
    streams = [
        kernels.words(seed, trial, layer, purpose, block, 64)
        for seed, trial, layer, purpose, block in itertools.product(
            (0, 1, 2**32), (0, 1, 2**32), (1, 2), stream_twin.PURPOSES, (0, 1)
        )
    ]
    words = np.concatenate(streams)
    assert np.unique(words).size == words.size


def test_no_two_addresses_share_a_counter():
    """Every bit of every field of an address moves one bit of the counter, each another one."""
    widths = {"trial": 48, "layer": 32, "purpose": 8, "block": 32, "call": 8}
    none = dict.fromkeys(widths, 0)
    moved = []
    for field, bits in widths.items():
        for bit in range(bits):
            count = stream_twin.counter(**{**none, field: 1 << bit})
            moved.append(sum(part << 32 * place for place, part in enumerate(count)))
    assert len(moved) == 128
    assert all(each.bit_count() == 1 for each in moved)
    assert len(set(moved)) == 128


def test_every_purpose_has_a_number_of_its_own():
    kernels = module("kernels", HERE[-1])
    assert kernels.PURPOSES == stream_twin.PURPOSES
    assert len(set(kernels.PURPOSES.values())) == len(kernels.PURPOSES)


def test_vectors_and_blocks_share_the_field_without_overlap():
    """Where a purpose has several vectors, their number lies above the block's."""
    header = Path(__file__).parents[1] / "src" / "varprop" / "_core" / "columns.pxd"
    match = re.search(r"COLUMN = (\d+)  #", header.read_text())
    assert match is not None
    assert 4096 << int(match[1]) >= MAX_WIDTH
    assert MOST_COLUMNS << int(match[1]) == 2**32


@pytest.mark.parametrize("n", [0, -32, 1001, 33])
def test_streams_give_whole_groups(n: int) -> None:
    kernels = module("kernels", HERE[-1])
    address = (3, 1, 4, "weights", 1)
    for call in (
        lambda: kernels.words(*address, n),
        lambda: kernels.numbers(*address, n),
        lambda: kernels.fill_repeatedly(1, n),
    ):
        with pytest.raises(ValueError, match=rf"{n} numbers .* multiples of"):
            call()
