"""Engines: the models that hear, think and speak, behind small typed interfaces. They know audio and text only."""
