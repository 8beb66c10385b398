"""Command lines made from option tables."""

import pytest

from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.errors import OptionError
from aurefine.jobs.options import Option, Range

TABLE = (
    Option(
        name="particles",
        flag="--i",
        aliases=("--particles",),
        label="Particles",
        kind="path",
        help="STAR file of the particles.",
        tab="Input",
    ),
    Option(
        name="initial_lowpass",
        flag="--ini_high",
        aliases=("--initial_lowpass",),
        label="Initial low-pass",
        kind="float",
        default=60.0,
        unit="Å",
        help="Low-pass the reference (100% of it).",
        tab="Reference",
        range=Range(0, also=(-1,)),
    ),
    Option(name="ctf", flag="--ctf", label="CTF", kind="bool", default=False, help="Use CTFs."),
    Option(
        name="norm",
        flag="--norm",
        negatives=("--no_norm",),
        label="Norm",
        kind="bool",
        default=False,
        help="Norm.",
    ),
    Option(
        name="gpu",
        flag="--gpu",
        label="GPU",
        kind="str",
        status="ignored",
        note="this program uses CPUs.",
        value_optional=True,
    ),
    Option(
        name="mode", flag="--mode", label="Mode", kind="choice", choices=("a", "b"), default="a"
    ),
    Option(
        name="helix",
        flag="--helix",
        label="Helix",
        kind="bool",
        status="refused",
        note="helices are not supported.",
    ),
    Option(
        name="helical",
        flag="--helical_*",
        label="Helix",
        kind="str",
        status="refused",
        note="helices are not supported.",
    ),
)


def parse(*argv: str) -> dict[str, object]:
    return given_values(build_parser(TABLE, "prog", "A program.").parse_args(argv))


def test_relion_flags_and_readable_forms_mean_the_same():
    expected = {"particles": "p.star", "initial_lowpass": 40.0}
    assert parse("--i", "p.star", "--ini_high", "40") == expected
    assert parse("--particles", "p.star", "--initial-lowpass", "40") == expected


def test_only_given_values_are_returned():
    assert parse() == {}


def test_booleans_are_switches():
    assert parse("--ctf", "--no_norm") == {"ctf": True, "norm": False}
    assert parse("--norm") == {"norm": True}


def test_negative_numbers_are_values():
    assert parse("--ini_high", "-1") == {"initial_lowpass": -1.0}


def test_a_flag_may_stand_without_its_optional_value():
    assert parse("--gpu", "--ctf") == {"gpu": "", "ctf": True}
    assert parse("--gpu", "0:1") == {"gpu": "0:1"}


def test_options_without_effect_give_a_note():
    assert notes_of(TABLE, parse("--gpu")) == [
        "option --gpu has no effect: this program uses CPUs."
    ]


def test_an_unknown_option_is_an_error_with_a_suggestion():
    with pytest.raises(OptionError, match=r"unknown option --ini_hihg \(did you mean --ini_high"):
        parse("--ini_hihg", "60")


def test_abbreviations_are_not_accepted():
    with pytest.raises(OptionError, match="unknown option --ini"):
        parse("--ini", "60")


@pytest.mark.parametrize("argv", [["--helix"], ["--helical_rise", "4.7"], ["--helix", "1"]])
def test_out_of_scope_options_are_refused_with_a_reason(argv):
    with pytest.raises(OptionError, match="helices are not supported"):
        parse(*argv)


def test_a_bad_value_gives_one_plain_sentence():
    with pytest.raises(OptionError) as caught:
        parse("--ini_high", "-5")
    assert str(caught.value) == (
        "option --ini_high (Initial low-pass): found -5.0 Å, expected 0 or more (or -1) Å."
    )


def test_a_bad_choice_names_the_choices():
    with pytest.raises(OptionError, match="a, b"):
        parse("--mode", "c")


def test_a_stray_word_is_an_error():
    with pytest.raises(OptionError, match="unexpected argument"):
        parse("p.star")


def test_help_is_grouped_and_hides_what_is_refused():
    text = build_parser(TABLE, "prog", "A program.").format_help()
    assert "Input:" in text
    assert "Reference:" in text
    assert "without effect" in text
    assert "helix" not in text
    assert "[60.0]" in text
