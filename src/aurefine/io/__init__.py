"""Files: STAR tables, MRC maps and stacks, atomic writes."""
