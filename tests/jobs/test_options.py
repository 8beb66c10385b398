"""Option records: conversion, ranges, defaults."""

import numpy as np
import pytest

from aurefine.errors import OptionError
from aurefine.jobs.options import Option, Range, check_values, find_option, with_defaults

LOWPASS = Option(
    name="initial_lowpass",
    flag="--ini_high",
    aliases=("--initial_lowpass",),
    label="Initial low-pass",
    kind="float",
    default=-1.0,
    unit="Å",
    range=Range(0, 500, open_low=True, also=(-1,)),
)
THREADS = Option(name="threads", flag="--j", label="Threads", kind="int", default=1, range=Range(1))
POOL = Option(
    name="gpu", flag="--gpu", label="GPU", kind="str", status="ignored", note="CPU program."
)
HELIX = Option(
    name="helix", flag="--helix", label="Helix", kind="bool", status="refused", note="no helices."
)


def test_every_flag_has_a_twin_with_dashes():
    assert LOWPASS.all_flags() == (
        "--ini_high",
        "--ini-high",
        "--initial_lowpass",
        "--initial-lowpass",
    )


def test_numbers_are_read_and_checked():
    assert LOWPASS.convert("60.") == 60.0
    assert LOWPASS.convert("-1") == -1.0
    assert THREADS.convert("4") == 4


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "0", "-2", "501"])
def test_a_bad_number_is_refused_with_the_flag(text):
    with pytest.raises(OptionError, match="--ini_high"):
        LOWPASS.convert(text)


@pytest.mark.parametrize("value", [True, np.True_])
def test_booleans_of_python_and_numpy_are_accepted(value):
    HELIX.check(value)


@pytest.mark.parametrize("value", [1, np.float64(1), "True", None])
def test_other_values_are_no_booleans(value):
    with pytest.raises(OptionError, match="True or False"):
        HELIX.check(value)


@pytest.mark.parametrize("text", ["1.5", "x", "0", "inf"])
def test_a_bad_count_is_refused(text):
    with pytest.raises(OptionError, match="--j"):
        THREADS.convert(text)


def test_a_range_says_what_is_allowed():
    assert LOWPASS.range.describe() == "more than 0 and at most 500 (or -1)"
    assert Range(1).describe() == "1 or more"
    assert Range().describe() == "any number"
    assert Range(high=3).describe() == "at most 3"


def test_booleans_of_job_star_are_understood():
    option = Option(name="ctf", flag="--ctf", label="CTF", kind="bool", default=False)
    assert option.convert("Yes") is True
    assert option.convert("No") is False
    with pytest.raises(OptionError, match="Yes or No"):
        option.convert("perhaps")


def test_defaults_fill_what_was_not_given():
    values = with_defaults((LOWPASS, THREADS, POOL, HELIX), {"threads": 3, "gpu": "0"})
    assert values == {"initial_lowpass": -1.0, "threads": 3}


def test_an_unknown_name_is_an_error():
    with pytest.raises(OptionError, match="thread_count"):
        with_defaults((THREADS,), {"thread_count": 3})


def test_values_from_a_program_are_checked_like_flags():
    check_values((LOWPASS, THREADS), {"threads": 2})
    with pytest.raises(OptionError, match="--j"):
        check_values((THREADS,), {"threads": 0})
    with pytest.raises(OptionError, match="no helices"):
        check_values((HELIX,), {"helix": True})


def test_an_option_is_found_by_name():
    assert find_option((LOWPASS, THREADS), "threads") is THREADS
    with pytest.raises(KeyError):
        find_option((LOWPASS,), "threads")
