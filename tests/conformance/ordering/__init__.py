"""The parts of the order checker: one state machine for each thing that a connection's events tell about."""
