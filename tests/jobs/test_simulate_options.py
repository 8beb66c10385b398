import numpy as np
import pytest

from aurefine.errors import OptionError
from aurefine.jobs.simulate_options import complete_values, to_optics_groups, to_settings
from aurefine.jobs.simulate_table import PRESETS, SIMULATE_OPTIONS
from aurefine.simulate.settings import SimulationSettings

GIVEN = {"atoms": "a.npz", "output": "sim"}


def test_one_value_holds_for_all_groups():
    groups, phase_shifts = to_optics_groups(
        complete_values({**GIVEN, "voltage": "300,200", "phase_shift": "0,90", "box": "48"})
    )
    assert [(g.number, g.voltage, g.box_size) for g in groups] == [(1, 300, 48), (2, 200, 48)]
    assert phase_shifts == (0, 90)


def test_lists_of_coefficients_are_separated_by_semicolons():
    groups, _ = to_optics_groups(
        complete_values(
            {**GIVEN, "odd_zernike": "[0,1.5];[]", "magnification": "[];[1.02,0,0.01,0.98]"}
        )
    )
    assert [group.odd_zernike for group in groups] == [(0, 1.5), ()]
    np.testing.assert_array_equal(groups[0].magnification, np.eye(2))
    np.testing.assert_array_equal(groups[1].magnification, [[1.02, 0], [0.01, 0.98]])


@pytest.mark.parametrize(
    "change, part",
    [
        ({"voltage": "300,200", "box": "64,64,64"}, "found 2 values for 3 optics groups"),
        ({"voltage": "300;200"}, "--voltage: found '300;200'"),
        ({"beam_tilt_x": "nan"}, "--beamtilt_x: found 'nan'"),
        ({"box": "63"}, "--box: found 63, expected an even number"),
        ({"box": "64.5"}, "--box: found '64.5'"),
        ({"amplitude_contrast": "2"}, "--Q0: found 2.0, expected a fraction"),
        ({"premultiplied": "2"}, "--premultiply_ctf: found 2, expected 0 or 1"),
        ({"magnification": "[1,0,0]"}, "--mag_mat"),
        ({"magnification": "[1,1,1,1]"}, "--mag_mat"),
        ({"voltage": "300,200", "n_micrographs": 1}, "every optics group needs a micrograph"),
        ({"voltage": "300,200", "n_particles": 1}, "every optics group needs a particle"),
    ],
)
def test_values_that_make_no_sense_name_their_option(change, part):
    with pytest.raises(OptionError, match=part.replace("[", r"\[")):
        to_optics_groups(complete_values({**GIVEN, **change}))


@pytest.mark.parametrize(
    "given, part",
    [
        ({"output": "sim"}, "give one of them"),
        ({**GIVEN, "map": "a.mrc"}, "give one of them"),
        ({"atoms": "a.npz"}, "--o"),
        ({**GIVEN, "snr": -1.0}, "--snr"),
        ({**GIVEN, "preset": "big"}, "--preset"),
    ],
)
def test_incomplete_or_wrong_values_are_refused(given, part):
    with pytest.raises(OptionError, match=part):
        complete_values(given)


def test_preferred_views_are_read():
    settings = to_settings(complete_values({**GIVEN, "view_axes": "0,0,1; 1,0,0"}), 100.0)
    assert settings.view_axes == ((0, 0, 1), (1, 0, 0))
    with pytest.raises(OptionError, match="--view_axes: found '0,1'"):
        to_settings(complete_values({**GIVEN, "view_axes": "0,1"}), 100.0)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(OptionError, match="before it begins"):
        to_settings(complete_values({**GIVEN, "defocus_min": 30000.0}), 100.0)


def test_given_options_change_a_preset():
    full = complete_values({"preset": "demo", "output": "sim", "n_particles": 50})
    assert full["n_particles"] == 50
    assert full["voltage"] == PRESETS["demo"]["voltage"]
    assert full["atoms"].endswith("bgal_d2.npz")


def test_defaults_of_options_and_settings_agree():
    defaults = {option.name: option.default for option in SIMULATE_OPTIONS}
    settings = SimulationSettings(n_particles=1, particle_diameter=1.0)
    shared = set(defaults) & set(SimulationSettings.__dataclass_fields__)
    for name in shared - {"n_particles", "particle_diameter", "view_axes"}:
        assert getattr(settings, name) == defaults[name], name
