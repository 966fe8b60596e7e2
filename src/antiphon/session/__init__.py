"""The session: configuration, conversation, input audio, turn detection, responses, drafts, usage."""
