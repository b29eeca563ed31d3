"""What is heard in speech: its words, by Whisper, and its speaker."""
