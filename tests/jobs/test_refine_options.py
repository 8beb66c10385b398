"""Options of *3D auto-refine*: the table, and the records made from it."""

import dataclasses
import shlex

import pytest

from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.errors import OptionError
from aurefine.jobs.refine_options import (
    REFINE_OPTIONS,
    RunSettings,
    continued_options,
    continued_settings,
    ignored_when_continuing,
    to_refine_options,
    to_run_settings,
)
from aurefine.refine.options import RefineOptions

STANDARD_JOB = shlex.split(
    "--o run --auto_refine --split_random_halves --i particles.star --ref map.mrc --firstiter_cc "
    "--trust_ref_size --ini_high 50 --dont_combine_weights_via_disc --pool 3 --pad 2 --ctf "
    "--particle_diameter 200 --flatten_solvent --zero_mask --oversampling 1 --healpix_order 2 "
    "--auto_local_healpix_order 4 --offset_range 5 --offset_step 2 --sym D2 "
    "--low_resol_join_halves 40 --norm --scale --j 4 --gpu"
)


def parse(*argv: str) -> dict[str, object]:
    return given_values(build_parser(REFINE_OPTIONS, "refine", "Refine.").parse_args(argv))


def test_names_and_flags_are_unique():
    names = [option.name for option in REFINE_OPTIONS]
    assert len(set(names)) == len(names)
    flags = [f for o in REFINE_OPTIONS for f in (*o.all_flags(), *o.all_negatives())]
    assert len(set(flags)) == len(flags)


def test_every_option_has_a_text():
    for option in REFINE_OPTIONS:
        assert option.label
        text = option.help if option.status == "used" else option.note
        assert text.endswith("."), option.flag


def test_every_setting_of_the_algorithm_can_be_reached():
    names = {option.name for option in REFINE_OPTIONS}
    # fields that the algorithm does not follow yet stand for options that are refused or ignored
    special = {"check_normalisation", "nearest_neighbour"}
    missing = {field.name for field in dataclasses.fields(RefineOptions)} - names - special
    assert not missing


def test_a_standard_relion_job_is_understood():
    values = parse(*STANDARD_JOB)
    options = to_refine_options(values)
    assert options.symmetry == "D2"
    assert options.initial_lowpass == 50
    assert options.offset_range_px == 5
    assert options.n_threads == 4
    assert options.pool == 3
    assert options.norm
    assert options.zero_mask
    settings = to_run_settings(values)
    assert settings == RunSettings(
        output_root="run", particles="particles.star", reference="map.mrc",
        trust_reference_size=True,
    )  # fmt: skip
    flags = [note.split()[1] for note in notes_of(REFINE_OPTIONS, values)]
    assert sorted(flags) == ["--dont_combine_weights_via_disc", "--gpu", "--pool"]


def test_defaults_are_those_of_relion():
    options = to_refine_options({})
    assert not options.norm
    assert not options.scale
    assert not options.flatten_solvent
    assert options.offset_range_px == 6
    assert options.n_particles_for_noise == 1000
    assert options.check_normalisation


def test_the_symmetry_gets_its_canonical_name():
    assert to_refine_options({"symmetry": "c1"}).symmetry == "C1"
    with pytest.raises(OptionError, match="X7"):
        to_refine_options({"symmetry": "X7"})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"n_classes": 3}, "--K"),
        ({"relax_symmetry": "C0"}, "C0"),
        ({"iterations": 25}, "--auto_refine"),
        ({"solvent_correct_fsc": True}, "--solvent_mask"),
        ({"force_converge": True}, "--continue"),
        ({"only_flip_phases": True, "ctf_phase_flipped": True}, "contradict"),
        ({"offset_range_px": 50.0, "offset_step_px": 0.5}, "offsets"),
        ({"minimum_angular_sampling": 1.0, "maximum_angular_sampling": 3.0}, "contradict"),
        ({"auto_refine": False}, "--auto_refine"),
        ({"padding": 0.5}, "--pad"),
        ({"adaptive_fraction": 1.5}, "--adaptive_fraction"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, text):
    with pytest.raises(OptionError, match=text):
        to_refine_options(values)


@pytest.mark.parametrize(
    "argv",
    [
        ["--helix"], ["--helical_nr_asu", "3"], ["--blush"], ["--grad"], ["--multibody_masks", "x"],
        ["--tomograms", "t.star"], ["--external_reconstruct"], ["--pad_ctf"], ["--tau", "t.star"],
        ["--sigma_psi", "2"], ["--sigma_rot", "2"], ["--sigma_tilt", "2"],
    ],
)  # fmt: skip
def test_what_is_out_of_scope_is_refused(argv):
    with pytest.raises(OptionError, match="is not available"):
        parse(*argv)


def test_nearest_neighbours_are_accepted_with_a_note():
    values = parse("--NN", "--r_min_nn", "5")
    assert all("interpolated trilinearly" in note for note in notes_of(REFINE_OPTIONS, values))
    assert len(notes_of(REFINE_OPTIONS, values)) == 2


def test_missing_inputs_are_named():
    with pytest.raises(OptionError, match="--o "):
        to_run_settings({"particles": "p.star", "reference": "r.mrc"})
    with pytest.raises(OptionError, match="--i "):
        to_run_settings({"output": "run", "reference": "r.mrc"})
    with pytest.raises(OptionError, match="--ref"):
        to_run_settings({"output": "run", "particles": "p.star"})
    with pytest.raises(OptionError, match="directory"):
        to_run_settings({"output": "job1/", "particles": "p.star", "reference": "r.mrc"})


def test_a_missing_job_directory_is_named(tmp_path):
    values = {"output": "run", "particles": "p", "reference": "r"}
    with pytest.raises(OptionError, match="no directory"):
        to_run_settings({**values, "pipeline_control": str(tmp_path / "nowhere") + "/"})
    there = str(tmp_path) + "/"
    assert to_run_settings({**values, "pipeline_control": there}).pipeline_control == there


def test_a_continued_run_without_output_name_gets_ct():
    values = {"continue_from": "a/run_it007_optimiser.star"}
    assert to_run_settings(values).output_root == "a/run_ct7"
    assert to_run_settings({**values, "output": "a/run"}).output_root == "a/run"
    with pytest.raises(OptionError, match="run_it005_optimiser"):
        to_run_settings({"continue_from": "a/run_data.star"})


def test_a_continued_run_keeps_what_is_stored():
    stored = to_refine_options(parse(*STANDARD_JOB))
    values = {
        "continue_from": "run_it003_optimiser.star", "symmetry": "C4", "particle_diameter": 180.0,
        "n_threads": 2, "auto_ignore_angles": True, "norm": False,
    }  # fmt: skip
    options = continued_options(stored, values)
    expected = dataclasses.replace(
        stored, particle_diameter=180.0, n_threads=2, auto_ignore_angles=True, norm=False
    )
    assert options == expected
    names = RunSettings(output_root="run", particles="p.star")
    lines = ignored_when_continuing(values, stored, names)
    assert [line.split()[1] for line in lines] == ["--sym"]
    same = {"symmetry": stored.symmetry.lower(), "particles": "p.star", "ctf": stored.ctf}
    assert ignored_when_continuing(same, stored, names) == []


def test_the_working_memory_is_kept_unless_relion_wrote_the_checkpoint():
    stored = dataclasses.replace(RefineOptions(), memory_budget=0.5)
    names = RunSettings(output_root="run")
    for values in ({"memory_budget": 2.0}, {}):
        assert continued_options(stored, values).memory_budget == 0.5
    values = {"memory_budget": 2.0}
    (line,) = ignored_when_continuing(values, stored, names)
    assert line.split()[1] == "--memory_budget"
    assert continued_options(stored, values, is_ours=False).memory_budget == 2.0
    assert not ignored_when_continuing(values, stored, names, is_ours=False)


def test_a_continued_run_keeps_the_mask():
    stored = RunSettings(output_root="run", particles="p.star", solvent_mask="mask.mrc")
    values = {"continue_from": "run_it003_optimiser.star"}
    settings = continued_settings(stored, values)
    assert settings.solvent_mask == "mask.mrc"
    assert settings.particles == "p.star"
    assert settings.output_root == "run_ct3"


def test_the_help_page_shows_readable_forms():
    text = build_parser(REFINE_OPTIONS, "aurefine refine", "Refine.").format_help()
    for flag in ("--particles", "--output", "--reference", "--initial-lowpass", "--threads"):
        assert flag in text
    assert "quirk" not in text


def test_relions_schedule_switches_all_savings_off():
    plain = {"early_particles": 0, "scoring_tolerance": 0.0, "jump_sampling": False,
             "reuse_poses": 0.0}  # fmt: skip
    for flag in ("--relion_schedule", "--relion-schedule"):
        options = to_refine_options(parse(*STANDARD_JOB, flag))
        assert {name: getattr(options, name) for name in plain} == plain


def test_a_saving_that_is_given_wins_over_relions_schedule():
    options = to_refine_options(parse(*STANDARD_JOB, "--relion_schedule", "--reuse_poses", "0.9"))
    assert options.reuse_poses == 0.9
    assert options.early_particles == 0


def test_a_continued_run_can_go_on_with_relions_schedule():
    stored = dataclasses.replace(RefineOptions(), early_particles=500, jump_sampling=True)
    values = parse("--continue", "run_it003_optimiser.star", "--relion_schedule")
    options = continued_options(stored, values)
    assert options.early_particles == 0
    assert not options.jump_sampling
    names = RunSettings(output_root="run")
    assert not ignored_when_continuing(values, stored, names)


def test_defaults_of_the_table_are_those_of_the_algorithm():
    options = to_refine_options({})
    for name in ("early_particles", "scoring_tolerance", "jump_sampling", "reuse_poses"):
        assert getattr(options, name) == getattr(RefineOptions(), name)
