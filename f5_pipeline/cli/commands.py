"""Importing this module registers every command."""

from f5_pipeline.cli import demo, doctor, links, narrate, plan, scripts, services, status, voices

__all__ = ["demo", "doctor", "links", "narrate", "plan", "scripts", "services", "status", "voices"]
