"""What is heard in speech: its words, by Whisper or Moonshine, and its speaker."""
