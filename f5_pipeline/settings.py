"""Everything that is configured, read once from the environment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from f5_pipeline.errors import InputError

DAY = 24 * 3600


class Settings(BaseSettings):
    """Each field is the environment variable `F5_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="F5_", frozen=True, env_ignore_empty=True)

    store: str = Field(
        "file:./studio", description="where everything is kept: file:<folder>, b2://bucket/prefix, s3://bucket/prefix"
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
        description="address of the S3 service; of b2:// from the region",
    )
    store_region: str | None = Field(
        None,
        validation_alias=AliasChoices("F5_STORE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="region of the S3 service; of b2:// from the endpoint",
    )
    transfers: int = Field(8, ge=1, le=64, description="requests to the bucket that are under way at once")
    part_mb: int = Field(16, ge=5, le=1024, description="size of the parts that large objects are moved in, MB")
    compute_logs: Literal["local", "store"] = Field("local", description="where Dagster keeps the logs of steps")
    home: Path = Field(
        Path("./.dagster"),
        validation_alias=AliasChoices("DAGSTER_HOME"),
        description="Dagster's instance (DAGSTER_HOME) and the secret that signs links",
    )
    engine: str = Field("auto", description="engine where the script asks for none: auto, f5, draft, or another's name")
    model: str = Field("F5TTS_v1_Base", description="model of the F5 engine where the script asks for none")
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
    retakes: int = Field(2, ge=0, le=10, description="times that a doubtful take is made again at most")
    cache: Path = Field(Path("~/.cache/f5_pipeline"), description="model weights on this machine")
    cache_gb: float = Field(40.0, gt=0, description="size that the weights' cache may have, GB; the oldest go first")
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
        False, validation_alias=AliasChoices("F5_OFFLINE", "HF_HUB_OFFLINE"), description="never ask the hub"
    )
    workers: int = Field(0, ge=0, le=512, description="processes of the draft engine; 0: one a core")
    shards: int = Field(1, ge=1, le=256, description="synthesis steps of a run that work side by side")
    loudness: float = Field(-19.0, ge=-40, le=-5, description="integrated loudness of narrations, LUFS")
    peak: float = Field(-1.0, ge=-12, le=0, description="highest true peak of narrations, dBTP")
    host: str = Field("127.0.0.1", description="address that `serve` and `up` listen on")
    port: int = Field(3080, ge=1, le=65535, description="port of the download service")
    ui_port: int = Field(3000, ge=1, le=65535, description="port of Dagster's web server under `up`")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/]", description="what links begin with; http://<host>:<port> where unset"
    )
    link_secret: SecretStr | None = Field(
        None, description="secrets that sign links, newest first, separated by commas; else kept in F5's home"
    )
    downloads: Literal["stream", "redirect"] = Field(
        "stream", description="how the download service gives files of a bucket: itself, or by a presigned address"
    )
    presign_seconds: int = Field(300, ge=10, le=3600, description="how long a presigned address lives, s")
    link_seconds: int = Field(7 * DAY, ge=60, le=365 * DAY, description="how long a link lives, s")

    gpus: str = Field(
        "auto", pattern=r"^(auto|none|\d+(,\d+)*)$", description="GPUs of this machine to use: auto, none, 0,1"
    )
    gpu_hour_cost: float = Field(0.0, ge=0, description="what an hour of a GPU costs, in any currency, for reports")
    inbox: Literal["now", "night", "off"] = Field(
        "now", description="what becomes of a script that is new or changed: narrated now, at night, or nothing"
    )
    inbox_seconds: int = Field(
        30, ge=1, le=3600, description="how often the in-box is looked into, s; Dagster does so every 5 s at most"
    )
    nightly: str = Field("0 1 * * *", description="when the nightly batch begins, as cron has it, or off")
    timezone: str = Field("UTC", description="time zone of the nightly batch, for example Europe/Berlin")
    nightly_minutes: float = Field(
        0.0, ge=0, description="minutes of narration in a nightly batch at most; 0: no limit"
    )
    attempts: int = Field(3, ge=1, le=20, description="times that a narration is tried before it is given up")
    attempt_seconds: float = Field(
        60.0, ge=0, description="how long the in-box waits to try again, s; four times longer each time"
    )
    max_run_hours: float = Field(
        24.0, gt=0, le=24 * 30, description="hours that a run may take, waiting for a GPU included, before it is ended"
    )

    @property
    def base_url(self) -> str:
        """What links begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def home_folder(self) -> Path:
        return self.home.expanduser().absolute()

    @property
    def cache_folder(self) -> Path:
        return self.cache.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """The store with a local folder made absolute, so that every process means the same one."""
        scheme, _, rest = self.store.partition(":")
        folder = rest.removeprefix("//")
        if scheme == "file" and folder:
            return f"file:{Path(folder).expanduser().absolute()}"
        return self.store


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Raises InputError that names the variable."""
    try:
        return Settings()  # type: ignore[call-arg]  # filled from the environment
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        variable = name if name.isupper() else f"F5_{name.upper()}"
        raise InputError(
            f"{variable} is not valid: {first['msg'].lower()} (it is {first['input']!r})",
            file="environment",
            hint=f"Set {variable} to a valid value or unset it.",
        ) from None
