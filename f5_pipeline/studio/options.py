"""Options of the studio, handed to its functions: none of them reads the settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from f5_pipeline.speech.engines.options import EngineOptions
from f5_pipeline.speech.script.model import DEFAULT_FORMATS, Formats, MasterName


class StudioOptions(EngineOptions):
    """Values of the settings of the same names (`f5_pipeline.settings.Settings`), with the same defaults.

    Attributes:
        engine: engine of scripts that ask for none: "auto", or a name.
        formats: audio files of scripts that name none.
        master: preset of scripts that name none; None: one linear gain to the loudness.
        retakes: how often a doubtful take is made again, at most.
        shards: synthesis steps of a run that work in parallel.
        cache_gb: size limit of the model weights in `cache`, GB; the least recently used weights are removed first.
        hub: address that model weights come from.
        hub_token: for gated models.
        offline: never ask the hub.
        captions: files of captions of scripts that name none, as "srt, ass".
        words_per_cue: words of a caption where the script does not say; 0: by the norms.
        asr_model: the Whisper model that writes missing transcripts: "auto", a name, or a folder.
        listen: to which takes a listener listens: "off", "doubt", "all"; "auto": "doubt" where a Whisper model is here.
        require_consent: clone only voices whose speaker's consent is recorded.

    Example:
        >>> StudioOptions(engine="draft", workers=2)
    """

    engine: str = "auto"
    formats: Formats = Field(default=[*DEFAULT_FORMATS])
    master: MasterName | None = None
    retakes: int = 2
    shards: int = 1
    cache_gb: float = 40.0
    hub: str = "https://huggingface.co"
    hub_token: SecretStr | None = None
    offline: bool = False
    captions: str = ""
    words_per_cue: int = 0
    asr_model: str = "auto"
    listen: Literal["auto", "off", "doubt", "all"] = "auto"
    require_consent: bool = False
