from aurefine.parallel.heap import return_free_memory


def test_the_heap_can_be_trimmed_wherever_the_program_runs():
    return_free_memory()
