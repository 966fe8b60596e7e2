"""Sessions over WebRTC: audio by RTP, events by a data channel."""
