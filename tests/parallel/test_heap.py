from aurefine.parallel.heap import return_free_memory, use_one_heap


def test_the_heap_can_be_trimmed_wherever_the_program_runs():
    use_one_heap()
    return_free_memory()
