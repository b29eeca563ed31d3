"""The API on a store with a voice and a real Dagster instance; what a run would make is made by the studio itself."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dagster as dg
import pytest
from starlette.testclient import TestClient

from f5_pipeline.gateway.api.app import FOLDERS, create_api
from f5_pipeline.gateway.api.service import Service
from f5_pipeline.gateway.app import create_app
from f5_pipeline.gateway.deliveries import Deliveries
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.launching.desk import InboxDesk
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.keys import Scope, add_key
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.studio.narrating.planning import plan_narration
from f5_pipeline.studio.records import Plan
from f5_pipeline.studio.state import write_state
from f5_pipeline.studio.weights import gather_weights
from f5_pipeline_tests.support.gateway_studio import KEY
from f5_pipeline_tests.support.installation import EXAMPLES, Installation
from f5_pipeline_tests.support.servers.fixtures import moto_server  # noqa: F401
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.shared import made_once
from f5_pipeline_tests.support.small_studio import Studio, prepare_voice
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.ticks import instance  # noqa: F401

HERE = "http://127.0.0.1"


@dataclass
class Api:
    """The service, and what tests do around it."""

    store: Store
    instance: dg.DagsterInstance
    service: Service

    def client(self, key: str | None = None, *, local: bool = True, address: str = "127.0.0.1") -> TestClient:
        """A program that calls the service with a key, or without."""
        deliveries = Deliveries(self.store)
        app = create_app(
            store=self.store,
            signer=self.service.signer,
            permit=deliveries.permit,
            files_of=deliveries.files_of,
            page_facts=deliveries.page_facts,
            timing_file=deliveries.timing_file,
            api=create_api(self.service, local=local),
            api_folders=FOLDERS,
        )
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return TestClient(app, base_url=HERE, headers=headers, client=(address, 40_000), follow_redirects=False)

    def key(self, *scopes: Scope, rate: int = 6000, minutes: float | None = None) -> str:
        return add_key(self.store, "a test", scopes or ("narrate", "voices", "read"), rate=rate, minutes=minutes)[0]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.instance)

    def deliver(self, narration: str) -> None:
        """What a run makes of a narration."""
        options = self.service.options
        studio = Studio(cast(LocalStore, self.store), gather_weights(self.store, options))
        plan: Plan = plan_narration(self.store, narration, studio.weights, options)
        write_state(self.store, plan, narration)
        takes, audio, timings = studio.produce(plan)
        for record in (takes, audio, timings):
            write_state(self.store, record, narration)
        manifest = read_manifest(self.store, narration, timings.revision)
        write_state(self.store, make_links(self.store, manifest, self.service.signer, base_url=HERE), narration)


@pytest.fixture
def place() -> str:
    """Where the store is: a folder; a test's parameter of this name may say "bucket"."""
    return "folder"


@pytest.fixture
def api(
    place: str,
    here: Installation,
    instance: dg.DagsterInstance,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Api:
    def with_voice(root: Path) -> None:
        prepare_voice(LocalStore(root), "ada", EXAMPLES / "voices" / "ada.flac")

    made = made_once(tmp_path_factory, "api-store", with_voice)
    if place == "bucket":
        server: S3Server = request.getfixturevalue("moto_server")
        access = Access(server.key_id, server.key, server.endpoint, server.region)
        store = connect(f"s3://{server.make_bucket(f'api-{uuid.uuid4().hex}')}/studio", access)
        for stat in LocalStore(made).list(""):
            store.put_bytes(stat.key, LocalStore(made).get_bytes(stat.key))
    else:
        store = here.store
        shutil.copytree(made, some(store.local_path("x")).parent, dirs_exist_ok=True)
    settings = get_settings()
    options = studio_options(settings)
    desk = InboxDesk(lambda: instance, store, options, settings)
    return Api(store, instance, Service(store, options, desk, LinkSigner([KEY]), HERE))
