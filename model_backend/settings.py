"""What an administrator may set: read once at the edge, passed down as a value.

Every field is an environment variable ``TEXT2EARTH_<NAME>``; ``serve`` has flags for the common ones.
docs/server.md lists them all, held against this file by a test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_data_path
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model_backend.logs import Form

AUTOMATIC = "auto"
NO_DEVICE = "none"  # of a worker that makes no pixels: it joins blocks and answers values
RAY_WORDS = {"num_cpus", "num_gpus", "memory", "resources", "accelerator_type", "label_selector"}


class Settings(BaseSettings):
    """Settings of one backend."""

    model_config = SettingsConfigDict(env_prefix="TEXT2EARTH_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8765, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(None, description="Base URL that clients see, behind a reverse proxy.")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Host names accepted besides loopback, `host` and `public_url`, with commas.",
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("text2earth"),
        description="Folder of job store, results, models and token (local disk).",
    )
    token_file: Path | None = Field(
        None, description="File with one token per line; default `DATA_DIR/token`, made at first start."
    )
    no_token: bool = Field(False, description="Accept requests without a token (loopback only).")
    model: str = Field(
        AUTOMATIC,
        description="Default model: an id of `models list`, or a model folder; `auto` is Text2Earth where it "
        "was pulled and a GPU is there, else land by example.",
    )
    device: str = Field(
        AUTOMATIC,
        description="`auto`, `cpu`, `cuda`, `cuda:N` or `mps`; several with commas, a worker each. `none`, or"
        " `auto` with Ray: what computes pixels is left to workers elsewhere.",
    )
    ray: str | None = Field(
        None, description="Address of a Ray cluster that gets workers; `auto`: the one of this computer."
    )
    ray_workers: int = Field(
        0, ge=0, description="Most workers on the Ray cluster; 0: as many as its nodes have room for."
    )
    ray_resources: dict[str, Any] = Field(
        default_factory=lambda: {"num_gpus": 1},
        description="What each of them takes, as Ray spells it, in JSON.",
    )
    ray_idle_minutes: float = Field(
        10.0,
        ge=0,
        description="Minutes after which those leave that have not been needed; 0: all are always there.",
    )
    threads: int = Field(0, ge=0, description="CPU threads, shared out among workers; 0 means all cores.")
    model_memory_gb: float = Field(16.0, gt=0, description="Memory budget of models kept loaded by a worker.")
    max_pixels: int = Field(67_108_864, ge=1, description="Pixels of one scene, its canvas included.")
    max_edit_pixels: int = Field(
        16_777_216, ge=1, description="Pixels of the canvas of an edit or extension: it is held in memory."
    )
    max_evaluations: int = Field(
        2_000_000, ge=1, description="UNet evaluations of one job, all variants together."
    )
    max_prompt: int = Field(2_000, ge=1, description="Characters of a prompt.")
    max_regions: int = Field(2_000, ge=1, description="Polygons of the regions of a scene.")
    max_region_corners: int = Field(40_000, ge=3, description="Corners of all these polygons together.")
    max_body: int = Field(1_048_576, ge=1024, description="Bytes of a JSON request body.")
    max_connections: int = Field(400, ge=1, description="Connections at a time; the longest silent ones go.")
    header_seconds: float = Field(
        20.0, gt=0, description="Seconds after which a connection without a complete request is closed."
    )
    body_seconds: float = Field(
        60.0, gt=0, description="Seconds a body may pause; after so many it comes at 1 kB a second or more."
    )
    max_upload: int = Field(2_147_483_648, ge=1024, description="Bytes of an uploaded file.")
    max_raster: int = Field(
        8_589_934_592, ge=1024, description="Bytes of an uploaded raster's pixels, unpacked."
    )
    upload_hours: float = Field(24.0, gt=0, description="Hours an upload is kept after it was last used.")
    owner_uploads: int = Field(1_000, ge=1, description="Uploads that an owner may keep at a time.")
    owner_upload_bytes: int = Field(
        53_687_091_200,
        ge=1024,
        description="Bytes of these uploads, those included that were only announced.",
    )
    owner_result_bytes: int = Field(
        536_870_912_000,
        ge=1024,
        description="Bytes of results that an owner may keep, unfinished jobs included.",
    )
    max_jobs: int = Field(16, ge=1, description="Unfinished jobs per token.")
    result_hours: float = Field(168.0, gt=0, description="Hours a finished job and its files are kept.")
    lease_seconds: float = Field(
        10.0, gt=0, description="Seconds without a sign of life after which a block is claimed again."
    )
    cancel_seconds: float = Field(
        30.0, gt=0, description="Seconds a worker may ignore a cancel before it is killed."
    )
    silence_seconds: float = Field(
        60.0, gt=0, description="Seconds a worker may give no sign of life before it is replaced."
    )
    stall_seconds: float = Field(
        900.0, gt=0, description="Seconds a worker may make no progress at a block before it is replaced."
    )
    max_attempts: int = Field(3, ge=1, description="Times a block is tried before its job fails.")
    owner_running: int = Field(
        0, ge=0, description="Jobs of an owner that run at a time; 0: as many as there are workers for."
    )
    log_format: Form = Field("text", description="`text`, or `json`: an object per line.")
    trusted_proxies: str = Field(
        "", description="Addresses of reverse proxies, with commas, that are believed for whom they ask."
    )
    idle_minutes: float = Field(
        0.0, ge=0, description="Minutes without jobs and requests after which the backend ends; 0: never."
    )

    @property
    def devices(self) -> list[str]:
        """The devices of this computer that have a worker."""
        if self.ray and self.device == AUTOMATIC:
            return [NO_DEVICE]
        return [device.strip() for device in self.device.split(",")]

    @field_validator("ray_resources")
    @classmethod
    def _resources(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take what Ray knows that says where an actor may run."""
        if not given or (unknown := set(given) - RAY_WORDS):
            raise ValueError(
                f"takes {', '.join(sorted(RAY_WORDS))}, not {sorted(unknown) if given else given}"
            )
        return given

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _hosts(cls, given: object) -> object:
        """Take names with commas between them, or a JSON list."""
        if not isinstance(given, str):
            return given
        names = json.loads(given) if given.lstrip().startswith("[") else given.split(",")
        return [name.strip() for name in names if name.strip()]
