"""How a reply is made from engines: cascade (transcription, language model, synthesis) or one speech model."""
