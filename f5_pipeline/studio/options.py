"""What an installation says of the studio's work. Handed to its functions: none of them reads the settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from f5_pipeline.speech.engines.options import EngineOptions


class StudioOptions(EngineOptions):
    """Values of the settings of the same names (`f5_pipeline.settings.Settings`), with the same defaults.

    Attributes:
        engine: where a script asks for none: "auto", or an engine's name.
        retakes: times that a doubtful take is made again at most.
        shards: synthesis steps of a run that work side by side.
        cache: folder of model weights on this machine.
        cache_gb: size that it may have, GB; the weights that were not used for longest go first.
        hub: address that model weights come from.
        hub_token: for gated models.
        offline: never ask the hub.

    Example:
        >>> StudioOptions(engine="draft", workers=2)
    """

    engine: str = "auto"
    retakes: int = 2
    shards: int = 1
    cache: Path = Path("~/.cache/f5_pipeline")
    cache_gb: float = 40.0
    hub: str = "https://huggingface.co"
    hub_token: SecretStr | None = None
    offline: bool = False
