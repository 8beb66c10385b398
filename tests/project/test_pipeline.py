"""Pipeline files: RELION's own ones survive a rewrite; versions are translated."""

import pytest

from aurefine.errors import StarError
from aurefine.project import Process, read_pipeline, write_pipeline
from aurefine.project.pipeline import Pipeline
from aurefine.project.types import node_kind, node_number, process_number


@pytest.mark.parametrize("version", ["relion5", "relion31"])
def test_files_of_relion_are_written_back_byte_for_byte(shared_data, tmp_path, version):
    path = shared_data / "golden" / "pipeline" / version / "default_pipeline.star"
    write_pipeline(tmp_path / "out.star", read_pipeline(path))
    assert (tmp_path / "out.star").read_bytes() == path.read_bytes()


def test_a_project_of_relion_5_is_translated_to_3_and_back(shared_data, tmp_path):
    old = read_pipeline(shared_data / "golden" / "pipeline" / "relion5" / "default_pipeline.star")
    old.dialect = "3.1"
    write_pipeline(tmp_path / "a.star", old)
    new = read_pipeline(tmp_path / "a.star")
    assert new.dialect == "3.1"
    assert new.counter == old.counter
    assert [p.status for p in new.processes.values()] == [p.status for p in old.processes.values()]
    kinds = {name: node_kind(label) for name, label in old.nodes.items()}
    assert {name: node_kind(label) for name, label in new.nodes.items()} == {
        name: kind for name, kind in kinds.items() if kind != "optimiser"
    }


def test_unknown_types_survive_a_rewrite(tmp_path):
    text = (
        "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 3\n \n"
        "\ndata_pipeline_processes\n\nloop_\n_rlnPipeLineProcessName #1\n"
        "_rlnPipeLineProcessAlias #2\n_rlnPipeLineProcessType #3\n_rlnPipeLineProcessStatus #4\n"
        "Odd/job001/ None 77 2\n \n\ndata_pipeline_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n"
        "_rlnPipeLineNodeType #2\nOdd/job001/x.dat 66\n \n"
        "\ndata_pipeline_output_edges\n\nloop_\n_rlnPipeLineEdgeProcess #1\n"
        "_rlnPipeLineEdgeToNode #2\nOdd/job001/ Odd/job001/x.dat\n"
    )
    (tmp_path / "a.star").write_text(text)
    write_pipeline(tmp_path / "b.star", read_pipeline(tmp_path / "a.star"))
    again = read_pipeline(tmp_path / "b.star")
    assert again.processes["Odd/job001/"].type == "77"
    assert again.nodes == {"Odd/job001/x.dat": "66"}
    assert " 77 " in (tmp_path / "b.star").read_text()


def test_labels_of_relion_4_get_their_new_names(tmp_path):
    (tmp_path / "a.star").write_text(
        "# version 40000\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 2\n\n"
        "data_pipeline_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n_rlnPipeLineNodeTypeLabel #2\n"
        "a.star ParticlesData.star.relion\n"
    )
    assert read_pipeline(tmp_path / "a.star").nodes == {
        "a.star": "ParticleGroupMetadata.star.relion"
    }


def test_input_from_the_folder_of_a_job_is_its_output_too():
    pipeline = Pipeline(
        processes={
            "Class3D/job001/": Process(
                "Class3D/job001/", "Class3D/best/", "relion.class3d", "Failed"
            )
        }
    )
    pipeline.add_input("Class3D/best/map.mrc", "DensityMap.mrc", "Refine3D/job002/")
    assert pipeline.outputs == [("Class3D/job001/", "Class3D/job001/map.mrc")]
    assert pipeline.inputs == [("Class3D/job001/map.mrc", "Refine3D/job002/")]


def test_suffixes_of_labels_do_not_hide_their_type():
    assert process_number("relion.extract.reextract") == 5
    assert process_number("relion.refine3d.helical") == 10
    assert process_number("mine.own") is None
    assert node_number("DensityMap.mrc.relion.halfmap.refine3d") == 10
    assert node_number("DensityMap.mrc.relion.postprocess.masked") == 11
    assert node_number("OptimiserData.star.relion") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rlnPipeLineJobCounter"),
        ("data_pipeline_general\n\n_rlnPipeLineJobCounter x\n", "no rlnPipeLineJobCounter"),
        (
            "data_pipeline_general\n\n_rlnPipeLineJobCounter 2\n\ndata_pipeline_processes\n\n"
            "loop_\n_rlnPipeLineProcessName #1\nRefine3D/job001/\n",
            "not a pipeline file",
        ),
        ('data_pipeline_general\n\n_rlnPipeLineJobCounter "2\n', "line 3"),
        ("stray\n", "line 1"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    (tmp_path / "default_pipeline.star").write_text(text)
    with pytest.raises(StarError, match=message):
        read_pipeline(tmp_path / "default_pipeline.star")


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("../../etc/", "None"), ("/etc/job001/", "None"), ("Refine3D/../", "None"),
        ("Refine3D/job001/", "../../home/evil/"), ("Refine3D/job001/", "/tmp/x/"), ("x", "None"),
    ],
)  # fmt: skip
def test_names_that_lead_out_of_the_project_are_refused(tmp_path, name, alias):
    (tmp_path / "default_pipeline.star").write_text(
        "data_pipeline_general\n\n_rlnPipeLineJobCounter 2\n\ndata_pipeline_processes\n\n"
        "loop_\n_rlnPipeLineProcessName #1\n_rlnPipeLineProcessAlias #2\n"
        "_rlnPipeLineProcessType #3\n_rlnPipeLineProcessStatus #4\n"
        f"{name} {alias} 10 2\n"
    )
    with pytest.raises(StarError, match="is not the folder of a job"):
        read_pipeline(tmp_path / "default_pipeline.star")


def test_a_folder_without_a_pipeline_file_is_no_project(tmp_path):
    with pytest.raises(StarError, match="aurefine project init"):
        read_pipeline(tmp_path / "default_pipeline.star")
