"""Speech recognition with Whisper, through CTranslate2."""
