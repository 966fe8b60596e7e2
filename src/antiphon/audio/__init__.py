"""Audio: formats, resampling, levels, files. Pure: no clock, no threads, no engine."""
