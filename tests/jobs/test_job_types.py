"""Job types: one table is the source of form, command and job.star."""

import shlex
from dataclasses import replace

import pytest

from aurefine.cli.parser import build_parser, given_values
from aurefine.errors import OptionError
from aurefine.jobs.form import check_field, is_enabled
from aurefine.jobs.import_table import IMPORT_OPTIONS
from aurefine.jobs.job_checks import check_form
from aurefine.jobs.job_command import build_command, job_inputs, summary_of
from aurefine.jobs.job_star import read_job_star, write_job_star
from aurefine.jobs.job_types import JOB_TYPES, find_job_type, job_type_of
from aurefine.jobs.options import Option

TYPES = list(JOB_TYPES.values())
GOLDEN = [
    ("relion5", "Extract/job011"), ("relion5", "Refine3D/job012"), ("relion5", "Import/job015"),
    ("relion5", "MaskCreate/job013"), ("relion5", "PostProcess/job014"),
    ("relion31", "Extract/job011"), ("relion31", "Refine3D/job012"),
]  # fmt: skip
FILLED = {
    "import": {"do_raw": "No", "do_other": "Yes", "node_type": "3D reference (.mrc)"},
    "extract": {"star_mics": "m.star", "do_reextract": "Yes", "fndata_reextract": "p.star"},
    "refine3d": {"fn_img": "p.star", "fn_ref": "r.mrc"},
    "maskcreate": {"fn_in": "m.mrc"},
    "postprocess": {"fn_in": "run_half1.mrc", "fn_mask": "mask.mrc"},
    "rescale": {"in_3dref": "m.mrc", "rescale_angpix": "2"},
}


def dialect_of(version):
    return "5.0" if version == "relion5" else "3.1"


@pytest.mark.parametrize(("version", "name"), GOLDEN)
def test_job_star_of_relion_is_written_back_byte_for_byte(shared_data, tmp_path, version, name):
    path = shared_data / "golden" / "pipeline" / version / name / "job.star"
    settings = read_job_star(path)
    assert settings.job_type is not None
    assert settings.unknown == ()
    write_job_star(
        tmp_path / "job.star",
        settings.job_type,
        settings.values,
        is_continue=settings.is_continue,
        dialect=dialect_of(version),
    )
    assert (tmp_path / "job.star").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("version", "name"), GOLDEN)
def test_command_has_the_words_of_relion_in_its_order(shared_data, version, name):
    folder = shared_data / "golden" / "pipeline" / version / name
    settings = read_job_star(folder / "job.star")
    note = (folder / "note.txt").read_text().splitlines()[3]
    theirs = shlex.split(note.replace("`which ", "").replace("`", ""))[1:]
    command = build_command(
        settings.job_type,
        settings.values,
        f"{name}/",
        is_continue=settings.is_continue,
        dialect=dialect_of(version),
    )
    ours = list(command.words[2:])
    assert sorted(set(theirs) - set(ours)) in ([], ["--skip_gridding", "Refine3D/job012/run_ct5"])
    assert set(ours) - set(theirs) <= {
        "--dialect", "3.1", "--pick_star", "Extract/job011/extractpick.star",
        "Refine3D/job012/run",
    }  # fmt: skip
    common = [word for word in theirs if word.startswith("--") and word in ours]
    if not name.startswith("Import"):
        assert [word for word in ours if word in common and word.startswith("--")] == common


def test_every_option_off_its_default_gives_the_words_of_relion(shared_data):
    folder = shared_data / "golden" / "pipeline" / "relion5" / "Refine3D" / "job016"
    settings = read_job_star(folder / "job.star")
    values = {**settings.values, "do_blush": "No"}
    command = build_command(settings.job_type, values, "Refine3D/job016/", dialect="5.0")
    line = next(t for t in (folder / "run_submit.script").read_text().splitlines() if "mpirun" in t)
    theirs = shlex.split(line.replace("`which ", "").replace("`", ""))
    theirs.remove("--blush")
    assert list(command.words[2:]) == theirs[4:]
    assert command.n_processes == 5


@pytest.mark.parametrize("job_type", TYPES, ids=lambda t: t.name)
def test_command_is_understood_by_its_program(job_type):
    command = build_command(job_type, FILLED[job_type.name], f"{job_type.folder}/job001/")
    table = IMPORT_OPTIONS if job_type.name == "import" else job_type.options
    options = [option for option in table if option.status != "form"]
    values = given_values(build_parser(options, "x", "x").parse_args(list(command.words[2:])))
    assert values["pipeline_control"] == f"{job_type.folder}/job001/"


@pytest.mark.parametrize("job_type", TYPES, ids=lambda t: t.name)
def test_form_is_complete(job_type):
    keys = [field.key for field in job_type.fields]
    assert len(set(keys)) == len(keys)
    for field in job_type.fields:
        assert field.is_hidden or field.tab in job_type.tabs, field.key
        assert field.is_hidden or field.help, field.key
        assert field.label, field.key
        if field.kind == "choice":
            assert field.default in field.choices
        for need in field.needs.split():
            assert need.lstrip("!") in keys
    assert not [p for p in check_form(job_type, FILLED[job_type.name]) if p.is_error]


def test_tabs_of_refinement_are_those_of_relion():
    tabs = find_job_type("3D auto-refine").tabs
    wanted = ("I/O", "Reference", "CTF", "Optimisation", "Auto-sampling", "Compute", "Running")
    assert [tab for tab in tabs if tab != "Expert"] == list(wanted)


def test_new_option_in_the_table_appears_everywhere(tmp_path):
    new = Option(
        name="my_option", flag="--my_option", label="My option", kind="float", default=1.0,
        help="For the test.",
    )  # fmt: skip
    job_type = replace(JOB_TYPES["maskcreate"], options=(*JOB_TYPES["maskcreate"].options, new))
    field = job_type.find_field("my_option")
    assert field.tab == "Expert"
    assert field.help == "For the test."
    values = {"fn_in": "m.mrc", field.key: "2.5"}
    assert "--my_option 2.5" in build_command(job_type, values, "MaskCreate/job001/").text
    assert "--my_option" not in build_command(job_type, {"fn_in": "m"}, "MaskCreate/job001/").text
    write_job_star(tmp_path / "job.star", job_type, {**job_type.defaults(), **values})
    assert "aurefine_my_option" in (tmp_path / "job.star").read_text()
    assert check_field(field, "two") is not None


@pytest.mark.parametrize("text", ["refine3d", "3D auto-refine", "Refine3D", "relion.refine3d"])
def test_job_type_has_many_names(text):
    assert find_job_type(text).number == 10


def test_unknown_job_type_lists_the_known_ones():
    with pytest.raises(OptionError, match="Particle extraction"):
        find_job_type("nothing")
    assert job_type_of("relion.class3d") is None
    assert job_type_of("relion.extract.reextract.helical").name == "extract"


def test_map_rescale_is_an_external_job_of_relion(tmp_path):
    job_type = JOB_TYPES["rescale"]
    values = {
        **job_type.defaults(), "in_3dref": "a.mrc", "rescale_angpix": "2.5", "new_box": "96",
        "aurefine_float16": "Yes",
    }  # fmt: skip
    write_job_star(tmp_path / "job.star", job_type, values)
    text = (tmp_path / "job.star").read_text()
    assert '"aurefine rescale"' in text
    assert "rescale_angpix" in text
    settings = read_job_star(tmp_path / "job.star")
    assert settings.job_type is job_type
    assert settings.values == values


def test_external_job_of_another_program_is_not_ours(tmp_path):
    (tmp_path / "job.star").write_text(
        "data_job\n\n_rlnJobType 99\n_rlnJobIsContinue 0\n\ndata_joboptions_values\n\nloop_\n"
        "_rlnJobOptionVariable #1\n_rlnJobOptionValue #2\nfn_exe other.py\n"
    )
    assert read_job_star(tmp_path / "job.star").job_type is None


@pytest.mark.parametrize(
    ("name", "values", "key"),
    [
        ("refine3d", {"fn_img": ""}, "fn_img"),
        ("refine3d", {"sym_name": "Q7"}, "sym_name"),
        ("refine3d", {"particle_diameter": "wide"}, "particle_diameter"),
        ("refine3d", {"nr_threads": "1.5"}, "nr_threads"),
        ("refine3d", {"sampling": "7 degrees"}, "sampling"),
        ("refine3d", {"do_helix": "Yes"}, "do_helix"),
        ("refine3d", {"other_args": "--x 'y"}, "other_args"),
        ("refine3d", {"fn_img": "a\nb"}, "fn_img"),
        ("refine3d", {"fn_img": "x" * 10_000}, "fn_img"),
        ("extract", {"extract_size": "91"}, "extract_size"),
        ("extract", {"do_recenter": "Yes", "do_reset_offsets": "Yes"}, "do_recenter"),
        ("extract", {"do_reextract": "No"}, "coords_suffix"),
        ("postprocess", {"fn_in": "run.mrc"}, "fn_in"),
        ("postprocess", {"do_adhoc_bfac": "Yes"}, "do_adhoc_bfac"),
        ("rescale", {"rescale_angpix": "-1"}, "rescale_angpix"),
        ("import", {"do_raw": "Yes"}, "do_other"),
        ("import", {"fn_in_other": "../x.mrc"}, "fn_in_other"),
    ],
)
def test_mistake_is_found_in_its_field(name, values, key):
    job_type = JOB_TYPES[name]
    problems = check_form(job_type, {**FILLED[name], **values})
    assert key in [problem.key for problem in problems]
    with pytest.raises(OptionError):
        build_command(job_type, {**FILLED[name], **values}, "X/job001/")


def test_continued_refinement_needs_an_optimiser_file():
    values = {**FILLED["refine3d"], "fn_cont": "Refine3D/job001/run_it003_data.star"}
    problems = check_form(JOB_TYPES["refine3d"], values, is_continue=True)
    assert [problem.key for problem in problems] == ["fn_cont"]


def test_own_option_set_back_to_its_default_is_written_when_continuing():
    values = {**FILLED["refine3d"], "fn_cont": "run_it002_optimiser.star"}
    key = "aurefine_auto_iter_max"
    command = build_command(
        JOB_TYPES["refine3d"], {**values, key: "999"}, "R/job001/", is_continue=True, changed=[key]
    )
    assert "--auto_iter_max 999" in command.text
    command = build_command(JOB_TYPES["refine3d"], values, "R/job001/", is_continue=True)
    assert "--auto_iter_max" not in command.text


def test_values_are_words_of_their_own_and_never_reach_a_shell():
    values = {**FILLED["refine3d"], "fn_img": "a b; rm -rf $HOME `id`.star"}
    command = build_command(JOB_TYPES["refine3d"], values, "Refine3D/job001/")
    assert values["fn_img"] in command.words
    assert shlex.split(command.text) == list(command.words)


def test_fields_are_enabled_by_those_that_they_need():
    job_type = JOB_TYPES["extract"]
    field = job_type.field_by_key["recenter_x"]
    values = job_type.defaults()
    assert not is_enabled(field, values)
    assert is_enabled(field, {**values, "do_reextract": "Yes", "do_recenter": "Yes"})
    assert not is_enabled(job_type.field_by_key["extract_size"], values, is_continue=True)


def test_inputs_are_the_files_that_have_an_effect():
    values = {**FILLED["extract"], "coords_suffix": "picks.star"}
    paths = [item.path for item in job_inputs(JOB_TYPES["extract"], values)]
    assert paths == ["m.star", "p.star"]
    assert job_inputs(JOB_TYPES["refine3d"], FILLED["refine3d"], is_continue=True) == []


def test_old_suffixes_of_coordinate_files_are_understood():
    values = {
        "star_mics": "m.star", "coords_suffix": "AutoPick/job004/coords_suffix_autopick.star",
    }  # fmt: skip
    text = build_command(JOB_TYPES["extract"], values, "Extract/job005/").text
    assert "--coord_dir AutoPick/job004/ --coord_suffix _autopick.star" in text


def test_summary_leaves_out_what_has_no_effect():
    labels = [label for label, _ in summary_of(JOB_TYPES["maskcreate"], FILLED["maskcreate"])]
    assert "Initial binarisation threshold:" in labels
    assert not [label for label in labels if "helical" in label or "Queue name" in label]


def test_fields_are_found_by_label_flag_and_name():
    job_type = JOB_TYPES["refine3d"]
    for text in ("sym_name", "Symmetry", "symmetry", "--sym"):
        assert job_type.find_field(text).key == "sym_name"
    with pytest.raises(OptionError, match="aurefine job options refine3d"):
        job_type.find_field("nonsense")
