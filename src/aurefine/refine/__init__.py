"""3D auto-refinement: model, expectation, maximisation, schedule, state and loop."""
