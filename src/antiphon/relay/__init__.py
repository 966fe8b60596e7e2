"""The relay: a served model that is another Realtime server, with everything of this server's in front of it."""
