"""The report on the machine."""

from aurefine.cli import doctor


def test_the_speed_of_matrix_products_is_measured():
    assert doctor.gemm_rate(1, size=128, seconds=0.01) > 0.01


def test_the_report_names_versions_cores_memory_and_speed(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "gemm_rate", lambda n_threads: 50.0)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert doctor.run([]) == 0
    text = capsys.readouterr().out
    for word in ("numpy", "cores", "GiB", "50 GFlop/s with one thread"):
        assert word in text
    assert "WARNING" not in text


def test_a_forced_processor_type_is_reported(monkeypatch):
    monkeypatch.setattr(doctor, "gemm_rate", lambda n_threads: 5.0)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    text = "\n".join(doctor.report_lines())
    assert "OPENBLAS_CORETYPE=Haswell" in text
    assert "5 GFlop/s per thread is slow" in text
