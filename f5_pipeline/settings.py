"""The settings, read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from f5_pipeline.errors import InputError

DAY_SECONDS = 24 * 3600


class Settings(BaseModel):
    """Each field is the environment variable `F5_<NAME>`, or the first of its aliases that is set and not empty."""

    model_config = ConfigDict(frozen=True)

    store: str = Field(
        "file:./studio", description="address of the store: file:<folder>, b2://bucket/prefix, s3://bucket/prefix"
    )
    store_key_id: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("F5_STORE_KEY_ID", "B2_APPLICATION_KEY_ID", "AWS_ACCESS_KEY_ID"),
        description="id of the key for the bucket",
    )
    store_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("F5_STORE_KEY", "B2_APPLICATION_KEY", "AWS_SECRET_ACCESS_KEY"),
        description="the key for the bucket",
    )
    store_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("F5_STORE_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        pattern=r"^https?://[^/]",
        description="address of the S3 service; for b2:// derived from the region",
    )
    store_region: str | None = Field(
        None,
        validation_alias=AliasChoices("F5_STORE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="region of the S3 service; for b2:// derived from the endpoint",
    )
    transfers: int = Field(8, ge=1, le=64, description="concurrent requests to the bucket")
    part_mb: int = Field(16, ge=5, le=1024, description="size of the parts of large transfers, MB")
    compute_logs: Literal["local", "store"] = Field("local", description="where Dagster keeps the logs of steps")
    home: Path = Field(
        Path("./.dagster"),
        validation_alias=AliasChoices("DAGSTER_HOME"),
        description="Dagster's instance (DAGSTER_HOME) and the secret that signs links",
    )
    engine: str = Field("auto", description="engine where the script names none: auto, f5, draft, or another")
    model: str = Field("F5TTS_v1_Base", description="model of the F5 engine where the script names none")
    preset: Literal["final", "fast", "rapid"] = Field("final", description="sampler of the F5 engine: NFE 32, 16 or 7")
    nfe: int | None = Field(None, ge=1, le=256, description="sampler: evaluations; else the preset's")
    cfg_strength: float | None = Field(None, ge=0, le=10, description="sampler: guidance; else the preset's")
    sway: float | None = Field(None, ge=-1, le=1, description="sampler: sway of the time steps; else the preset's")
    ode: Literal["euler", "midpoint"] | None = Field(None, description="sampler: ODE method; else the preset's")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="where F5 computes: auto, cpu, mps, cuda, cuda:<n>"
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field("auto", description="precision of F5's matrix products")
    attention: Literal["auto", "sdpa", "varlen", "flash_attn"] = Field("auto", description="attention of the F5 engine")
    compile: Literal["auto", "off", "on"] = Field("auto", description="torch.compile: auto uses it on CUDA devices")
    batch_frames: int = Field(0, ge=0, description="mel frames of a batch, reference included; 0: from free memory")
    asr_model: str = Field(
        "auto", description="Whisper that writes missing transcripts: auto, a name of `weights list`, or a folder"
    )
    listen: Literal["auto", "off", "doubt", "all"] = Field(
        "auto",
        description="takes that are listened to: off, doubt, all; auto: those in doubt, where a model is here",
    )
    retakes: int = Field(2, ge=0, le=10, description="maximum retakes of a doubtful take")
    cache: Path = Field(Path("~/.cache/f5_pipeline"), description="model weights on this machine")
    cache_gb: float = Field(40.0, gt=0, description="maximum size of the weights' cache, GB; the oldest go first")
    hub: str = Field(
        "https://huggingface.co",
        validation_alias=AliasChoices("F5_HUB", "HF_ENDPOINT"),
        pattern=r"^https?://[^/]",
        description="hub that model weights come from",
    )
    hub_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("F5_HUB_TOKEN", "HF_TOKEN"), description="token for gated models"
    )
    offline: bool = Field(
        False, validation_alias=AliasChoices("F5_OFFLINE", "HF_HUB_OFFLINE"), description="never connect to the hub"
    )
    workers: int = Field(0, ge=0, le=512, description="processes of the draft engine; 0: one for each core")
    shards: int = Field(
        1,
        ge=1,
        le=256,
        description="synthesis steps of a run that work side by side; unset: on Ray its GPUs, on Kubernetes 4",
    )
    executor: Literal["local", "ray", "k8s"] = Field(
        "local", description="where steps work: local (this machine), ray, k8s (Kubernetes)"
    )
    ray_address: str | None = Field(
        None,
        validation_alias=AliasChoices("F5_RAY_ADDRESS", "RAY_ADDRESS"),
        description="address of Ray's dashboard, http://head:8265",
    )
    step_cpus: float = Field(
        2, gt=0, le=64, description="processors that a GPU step asks of the cluster; 6 at 500 times real time"
    )
    formats: str = Field(
        "flac,mp3",
        pattern=r"^ *(flac|mp3|wav|opus|m4b)( *, *(flac|mp3|wav|opus|m4b))* *$",
        description="audio files of scripts that name none: flac, mp3, wav, opus, m4b",
    )
    master: Literal["podcast", "ebu", "acx", "retail"] | None = Field(
        None, description="what the audio files of scripts that name none must meet: podcast, ebu, acx, retail"
    )
    loudness: float = Field(-19.0, ge=-40, le=-5, description="integrated loudness of narrations, LUFS")
    peak: float = Field(-1.0, ge=-12, le=0, description="highest true peak of narrations, dBTP")
    captions: str = Field("", description="caption files where the script names none, as srt,vtt,ass")
    words_per_cue: int = Field(0, ge=0, le=20, description="words of a caption; 0: by the norms")
    host: str = Field("127.0.0.1", description="address that `serve` and `up` listen on")
    port: int = Field(3080, ge=1, le=65535, description="port of the download service")
    ui_port: int = Field(3000, ge=1, le=65535, description="port of Dagster's web server under `up`")
    ui_hosts: str = Field(
        "", description="further host names of Dagster's web server, as behind a proxy, separated by commas"
    )
    require_consent: bool = Field(False, description="clone only voices whose speaker's consent is recorded")
    c2pa_certificate: Path | None = Field(
        None, description="certificate and its issuers (PEM) that sign Content Credentials into MP3, WAV and M4B files"
    )
    c2pa_key: Path | None = Field(None, description="its private key (PEM)")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="base URL of links; http://<host>:<port> where unset"
    )
    link_secret: SecretStr | None = Field(
        None, description="secrets that sign links, newest first, separated by commas; else kept in DAGSTER_HOME"
    )
    downloads: Literal["stream", "redirect"] = Field(
        "stream", description="how the download service sends files of a bucket: itself, or by a presigned URL"
    )
    fetch_records: bool = Field(True, description="keep who fetched what by each link, with their addresses")
    presign_seconds: int = Field(300, ge=10, le=3600, description="how long a presigned URL is valid, s")
    link_seconds: int = Field(7 * DAY_SECONDS, ge=60, le=365 * DAY_SECONDS, description="how long a link is valid, s")

    webhook: str | None = Field(
        None, pattern=r"^https?://[^/]", description="address that is told of each batch that has ended"
    )
    webhook_secret: SecretStr | None = Field(
        None, description="secrets that sign webhooks, whsec_…, separated by commas; else kept in DAGSTER_HOME"
    )

    gpus: str = Field(
        "auto", pattern=r"^(auto|none|\d+(,\d+)*)$", description="GPUs of this machine to use: auto, none, 0,1"
    )
    gpu_hour_cost: float = Field(0.0, ge=0, description="what an hour of a GPU costs, in any currency")
    inbox: Literal["now", "night", "off"] = Field(
        "now", description="when new and edited scripts are narrated: now, at night, or not at all"
    )
    inbox_seconds: int = Field(
        30, ge=1, le=3600, description="how often the in-box is checked, s; by Dagster every 5 s at most"
    )
    nightly: str = Field("0 1 * * *", description="cron schedule of the nightly batch, or off")
    timezone: str = Field("UTC", description="time zone of the nightly batch, for example Europe/Berlin")
    nightly_minutes: float = Field(
        0.0, ge=0, description="maximum minutes of narration in a nightly batch; 0: no limit"
    )
    nightly_cost: float = Field(
        0.0, ge=0, description="maximum expected cost of a night, in the currency of F5_GPU_HOUR_COST; 0: no limit"
    )
    monthly_cost: float = Field(
        0.0, ge=0, description="cost of a month's batches at which nothing more is launched by itself; 0: no limit"
    )
    run_days: float = Field(
        0.0, ge=0, description="days after which what Dagster keeps of a run's steps is cleared every night; 0: never"
    )
    attempts: int = Field(3, ge=1, le=20, description="maximum attempts at a narration")
    attempt_seconds: float = Field(
        60.0, ge=0, description="how long the in-box waits before the second attempt, s; four times longer each time"
    )
    max_run_hours: float = Field(
        24.0, gt=0, le=24 * 30, description="maximum hours of a run, including the time it waits for a GPU"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings in environment variables; empty ones count as unset."""
        values = {}
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            variables = alias.choices if isinstance(alias, AliasChoices) else [f"F5_{name.upper()}"]
            variable = next((str(variable) for variable in variables if environment.get(str(variable))), None)
            if variable is not None:
                values[name if alias is None else variable] = environment[variable]
        return cls.model_validate(values)

    def plain_variables(self, but: Container[str] = ()) -> list[str]:
        """Names of the environment variables of the settings that are set and hold no secret.

        Args:
            but: fields that are left out.
        """
        names = []
        for name in self.model_fields_set:
            alias = self.__class__.model_fields[name].validation_alias
            if name not in but and not isinstance(getattr(self, name), SecretStr):
                names += map(str, alias.choices) if isinstance(alias, AliasChoices) else [f"F5_{name.upper()}"]
        return sorted(names)

    @property
    def base_url(self) -> str:
        """Base URL of links, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def home_folder(self) -> Path:
        return self.home.expanduser().absolute()

    @property
    def cache_folder(self) -> Path:
        return self.cache.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """The store's address with an absolute folder, so that every process uses the same one."""
        scheme, _, rest = self.store.partition(":")
        folder = rest.removeprefix("//")
        if scheme == "file" and folder:
            return f"file:{Path(folder).expanduser().absolute()}"
        return self.store


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Raises InputError that names the variable."""
    try:
        return Settings.from_environment(os.environ)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        variable = name if name.isupper() else f"F5_{name.upper()}"
        raise InputError(
            f"{variable} is not valid: {first['msg'].lower()} (it is {first['input']!r})",
            file="environment",
            hint=f"Set {variable} to a valid value or unset it.",
        ) from None
