"""Post-processing against files that RELION 3.1.3 made (golden/postprocess/commands.txt).

The phases that RELION randomises can not be reproduced, so that its random curve is read from its
STAR file; everything else is calculated.
"""

import contextlib
import io
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from aurefine.cli.postprocess import run
from aurefine.fourier import correct_fsc
from aurefine.io.mrc import read_map
from aurefine.io.star import read_star
from aurefine.jobs import postprocess
from aurefine.maps.curves import fsc_curves

HALF_MAPS = ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc")
COMMANDS = {
    "auto": "--angpix 2.5 --mtf mtf.star --mtf_angpix 1.1 --auto_bfac --autob_lowres 12",
    "adhoc": "--angpix 2.5 --adhoc_bfac -120 --skip_fsc_weighting --low_pass 7",
}
RANDOM = "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps"
OURS = {"rlnPostprocessedMap", "rlnPostprocessedMapMasked"}  # RELION 5 writes them, 3.1 not


@dataclass(frozen=True)
class Case:
    """A finished run: its name, its folder, RELION's folder, and what it printed."""

    name: str
    found: Path
    expected: Path
    printed: str


@pytest.fixture(scope="module")
def golden(shared_data):
    return shared_data / "golden" / "postprocess"


@pytest.fixture(scope="module")
def project(golden, tmp_path_factory):
    """A folder with the input files, which is also the working directory."""
    folder = tmp_path_factory.mktemp("postprocess")
    for name in (*HALF_MAPS, "mtf.star"):
        shutil.copy(golden / name, folder)
    (folder / "out").mkdir()
    shutil.copy(golden / "out" / "mask.mrc", folder / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module", params=COMMANDS)
def case(request, golden, project):
    """One command, run with RELION's random curve."""
    name = request.param
    random = read_star(golden / "out" / name / "postprocess.star").table("fsc")[RANDOM]

    def with_relion_phases(*arguments, **options):
        curves = fsc_curves(*arguments, **options)
        corrected = correct_fsc(curves.masked, random.to_numpy(), curves.first_random_shell)
        return replace(curves, corrected=corrected, random=random.to_numpy())

    options = shlex.split(COMMANDS[name])
    root = f"out/{name}/postprocess"
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(postprocess, "fsc_curves", with_relion_phases)
        assert run(["--mask", "out/mask.mrc", "--i", HALF_MAPS[0], "--o", root, *options]) == 0
    return Case(name, project / "out" / name, golden / "out" / name, printed.getvalue())


def _tables(case):
    return [read_star(folder / "postprocess.star") for folder in (case.found, case.expected)]


def test_every_command_of_the_golden_files_has_a_test(golden):
    lines = (golden / "commands.txt").read_text().splitlines()
    commands = {line.partition("; ")[2] for line in lines if "; relion_postprocess" in line}
    program = f"relion_postprocess --mask out/mask.mrc --i {HALF_MAPS[0]} --o"
    assert commands == {f"{program} out/{name}/postprocess {COMMANDS[name]}" for name in COMMANDS}


def test_general_values_agree_with_relion(case):
    found, expected = (star.values("general") for star in _tables(case))
    assert set(found) - OURS == set(expected)
    for label, value in expected.items():
        if isinstance(value, str):
            assert found[label] == value
        else:
            # slope and B depend on the six printed digits of the random curve
            assert found[label] == pytest.approx(value, rel=6e-6, abs=1e-6)


def test_fsc_table_agrees_with_relion(case):
    found, expected = (star.table("fsc") for star in _tables(case))
    assert list(found.columns) == list(expected.columns)
    for label in expected:
        # one unit of the last printed digit; 4e-6 where the printed random curve comes in
        tolerance = 5e-6 if label.endswith("Corrected") else 1.5e-6
        np.testing.assert_allclose(found[label], expected[label], atol=tolerance, err_msg=label)


def test_guinier_table_agrees_with_relion(case):
    found, expected = (star.table("guinier") for star in _tables(case))
    assert list(found.columns) == list(expected.columns)
    for label in expected:
        # negative numbers have five decimals; the weights depend on the printed random curve
        tolerance = 3e-5 if "Weighted" in label or "Sharpened" in label else 1.1e-5
        np.testing.assert_allclose(found[label], expected[label], atol=tolerance, err_msg=label)


@pytest.mark.parametrize("suffix", ["", "_masked"])
def test_map_agrees_with_relion(case, suffix):
    name = f"postprocess{suffix}.mrc"
    found, pixel_size = read_map(case.found / name)
    expected, expected_pixel_size = read_map(case.expected / name)
    assert pixel_size == expected_pixel_size
    rms = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
    # FSC weights from six printed digits limit the weighted map to 1.0e-5
    assert rms < (2e-5 if case.name == "auto" else 1e-6)


def test_xml_curve_agrees_with_relion(case):
    found, expected = (
        (folder / "postprocess_fsc.xml").read_text().splitlines()
        for folder in (case.found, case.expected)
    )
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        if "<y>" not in theirs:
            assert ours == theirs
        else:
            values = [float(line.strip()[3:-4]) for line in (ours, theirs)]
            assert values[0] == pytest.approx(values[1], abs=5e-6)


def test_report_agrees_with_relion(case, golden):
    """Word for word, but for rounded values that depend on the random curve."""
    screen = (golden / "out" / "screen.txt").read_text().splitlines()
    start = screen.index("== Reading input half-reconstructions: ")
    block = screen[start:]
    if case.name == "adhoc":
        start = block.index("== Reading input half-reconstructions: ", 1)
        block = [line for line in block[start:] if "--mtf_angpix was not" not in line]
    else:
        block = block[: block.index("== Reading input half-reconstructions: ", 1)]
    found = case.printed.splitlines()
    assert len(found) == len(block)
    for ours, theirs in zip(found, block, strict=True):
        if any(word in theirs for word in ("slope", "b-factor of", "intercept", "correlation")):
            assert ours[:35] == theirs[:35]
            assert float(ours[35:]) == pytest.approx(float(theirs[35:]), rel=1e-5)
        else:
            assert ours == theirs


def test_random_curve_has_the_level_of_relions(golden):
    half1, half2, mask = (
        read_map(golden / name)[0].astype(float) for name in (*HALF_MAPS, "out/mask.mrc")
    )
    table = read_star(golden / "out" / "auto" / "postprocess.star").table("fsc")
    curves = [
        fsc_curves(half1, half2, mask, rng=np.random.default_rng(seed)).random for seed in range(20)
    ]
    mean, spread = np.mean(curves, axis=0), np.std(curves, axis=0)
    # RELION's one draw lies within the spread of ours, shell by shell
    distance = np.abs(table[RANDOM] - mean)[1:] / spread[1:]
    assert distance.max() < 4
    assert np.sqrt(np.mean(distance**2)) < 1.6


# relion_postprocess 3.1.3 without a mask: --angpix 2.5 --auto_bfac --autob_lowres 12
WITHOUT_MASK = {
    "rlnFinalResolution": 7.272727,
    "rlnBfactorUsedForSharpening": -330.23951,
    "rlnFittedSlopeGuinierPlot": -82.55988,
    "rlnFittedInterceptGuinierPlot": -7.04027,
    "rlnCorrelationFitGuinierPlot": 0.974647,
}


def test_values_without_a_mask_agree_with_relion(project):
    options = shlex.split("--angpix 2.5 --auto_bfac --autob_lowres 12")
    run(["--i", HALF_MAPS[0], "--o", "out/pp", *options])
    found = read_star("out/pp.star").values("general")
    for label, value in WITHOUT_MASK.items():
        assert found[label] == pytest.approx(value, abs=1.1e-6 if value > 0 else 1.1e-5)
