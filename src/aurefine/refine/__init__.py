"""3D auto-refinement: model, expectation, maximisation, schedule, state and loop."""

__all__ = ["initialise", "loop", "observer", "options", "particles", "schedule", "state", "update"]
