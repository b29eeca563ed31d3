"""Narrations of the API on the studio: submitted, looked at, delivered."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from f5_pipeline.errors import InputError, NotFoundError, PipelineError
from f5_pipeline.gateway.api.access import is_admin
from f5_pipeline.gateway.api.fetching import fetch
from f5_pipeline.gateway.api.models import (
    Narration,
    Options,
    Progress,
    Result,
    ResultFile,
    State,
    Submission,
    WebhookAnswer,
)
from f5_pipeline.gateway.api.port import Desk
from f5_pipeline.gateway.delivery import media_type_of
from f5_pipeline.speech import engines
from f5_pipeline.speech.captions.one_word import ONE_WORD
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, read_record, write_record
from f5_pipeline.studio.formats import describe_file
from f5_pipeline.studio.keys import ApiKey, charge
from f5_pipeline.studio.links.grants import links_are_valid
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.links.tokens import LinkSigner, file_url
from f5_pipeline.studio.narrating.scripts import LoadedScript, keep_script, list_scripts
from f5_pipeline.studio.narrating.submission import read_submission
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Links, Timings
from f5_pipeline.studio.removal import Kind, Receipt, begin_removal, find_removal, narrations_of, receipts, remove
from f5_pipeline.studio.state import NarrationState, find_state, write_state
from f5_pipeline.studio.webhooks import Webhook
from f5_pipeline.system.addresses import pin
from f5_pipeline.system.clock import iso_time

log = logging.getLogger("f5_pipeline.gateway")

ORIGIN = "the HTTP API"

_ID = re.compile(r".*-([0-9a-f]{16})")
_STATES: dict[str, State] = {"delivered": "done", "running": "running", "failed": "failed", "damaged": "failed"}


class ConflictError(InputError):
    """The request contradicts what is there already."""


class ApiRequest(BaseModel):
    """The record of a narration that was submitted by HTTP."""

    narration: str
    owner: str
    title: str
    created: str
    body: str
    """sha256 of what was submitted."""
    options: Options
    canceled: str | None = None


@dataclass
class Service:
    """What every endpoint works with.

    Attributes:
        base_url: what links begin with.
        gpu_hour_cost: for estimates.
        folders: whose disks are watched, by what they are for.
    """

    store: Store
    options: StudioOptions
    desk: Desk
    signer: LinkSigner
    base_url: str
    gpu_hour_cost: float = 0.0
    folders: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._removing = threading.Lock()
        self._submitting = [threading.Lock() for _ in range(64)]  # by identifier

    def content(self, submission: Submission) -> tuple[bytes, str]:
        """The bytes of what is submitted, and the suffix of its kind."""
        if submission.text is not None:
            return submission.text.encode(), ".md"
        if submission.url is not None:
            fetched = fetch(submission.url)
            return fetched.data, PurePosixPath(submission.file_name or fetched.name).suffix.lower()
        return decoded(submission.file or "", "file"), PurePosixPath(submission.file_name or "").suffix.lower()

    def load(self, data: bytes, suffix: str, options: Options, name: str) -> LoadedScript:
        """A submitted script, read and checked as `scripts add` does; nothing is kept."""
        given = options.model_dump(exclude_unset=True, exclude={"title", "timing_formats", "webhook"})
        try:
            script_options = ScriptOptions.model_validate(given)
        except ValueError as error:
            raise InputError(f"an option is not valid: {error}") from None
        header = {"title": options.title or _title(data, suffix)}
        if suffix not in layout.SCRIPT_EXTENSIONS:
            hint = f"Use one of {', '.join(layout.SCRIPT_EXTENSIONS)}."
            raise InputError(f"{suffix or 'a name without an ending'} is not a kind of script", hint=hint)
        loaded = read_submission(
            self.store, data, name, script_options, suffix=suffix, header=header, origin=ORIGIN, file="the script"
        )
        # Whether the engine works is not asked: others may have it, on other machines.
        engines.check_choice(options.engine)
        return loaded

    def submit(
        self, caller: ApiKey, data: bytes, suffix: str, options: Options, idempotency: str | None = None
    ) -> tuple[Narration, bool]:
        """Put a script into the in-box as `f5-pipeline scripts add` does; return it, and whether it is new.

        The same `idempotency` of the same caller gives the same narration.

        Raises:
            InputError: it cannot be narrated. ConflictError: `idempotency` was used for something else. QuotaError.
        """
        seed = f"{caller.key}\0{idempotency}".encode() if idempotency else secrets.token_bytes(32)
        identifier = hashlib.sha256(seed).hexdigest()[:16]
        body = hashlib.sha256(options.model_dump_json().encode() + suffix.encode() + b"\0" + data).hexdigest()
        with self._submitting[int(identifier, 16) % len(self._submitting)]:
            key = layout.api_request(caller.key, identifier)
            present = find_record(self.store, key, ApiRequest)
            if present is not None:
                if present.body != body:
                    raise ConflictError("this Idempotency-Key was used for another narration", hint="Use a new one.")
                return self.describe(present), False
            title = options.title or _title(data, suffix)
            name = f"{(layout.slug(title) or 'narration')[:40].strip('-_')}-{identifier}"
            if options.webhook:
                pin(options.webhook, schemes=["https"])
            loaded = self.load(data, suffix, options, name)
            charge(self.store, caller, sum(chunk.expected_seconds for chunk in iter_chunks(loaded.script)))
            request = ApiRequest(
                narration=name,
                owner=caller.key,
                title=loaded.script.title,
                created=iso_time(),
                body=body,
                options=options,
            )
            # The record last: a submission that was cut off is made again by the same Idempotency-Key.
            if options.webhook:
                webhook = Webhook(url=options.webhook, title=request.title)
                write_record(self.store, layout.webhook(name), webhook)
            keep_script(self.store, loaded)
            write_record(self.store, key, request)
        self.desk.call(name)
        new = Narration(id=name, title=request.title, state="queued", created=request.created, owner=caller.key)
        return new.model_copy(update={"webhook": self._webhook(request)}), True

    def request_of(self, caller: ApiKey, narration: str) -> ApiRequest | None:
        """The request for a narration; None for one that was not made by HTTP, which only an admin sees.

        Raises:
            NotFoundError: there is none that the caller may see.
        """
        match = _ID.fullmatch(narration) if layout.NAME.fullmatch(narration) else None
        owners = [caller.key] if not is_admin(caller) else [caller.key, *self.store.folders("requests/")]
        for owner in owners:
            key = layout.api_request(owner, match[1]) if match else ""
            request = find_record(self.store, key, ApiRequest) if key else None
            if request is not None and request.narration == narration:
                return request
        if is_admin(caller) and any(name == narration for name, _ in list_scripts(self.store)):
            return None
        raise NotFoundError("there is no such narration", file=narration[:80])

    def describe(
        self, request: ApiRequest | None, narration: str = "", state: NarrationState | None = None
    ) -> Narration:
        """A narration and its state, which is asked for where it is not given."""
        name = request.narration if request else narration
        state = state or self.desk.state(name)
        made = state.takes - (state.missing or 0) if state.takes is not None else None
        shown: State = _STATES.get(state.state, "queued")
        return Narration(
            id=name,
            title=request.title if request else None,
            state="canceled" if request and request.canceled and shown != "done" else shown,
            progress=Progress(takes=state.takes, made=made),
            error=state.reason if shown == "failed" else None,
            engine=state.engine,
            seconds=state.seconds,
            created=request.created if request else None,
            owner=request.owner if request else None,
            webhook=self._webhook(request),
        )

    def _webhook(self, request: ApiRequest | None) -> WebhookAnswer | None:
        if request is None or request.options.webhook is None:
            return None
        hook = self.desk.webhook(request.narration)
        return WebhookAnswer(**hook.model_dump(include=set(WebhookAnswer.model_fields))) if hook else WebhookAnswer()

    def list(self, caller: ApiKey, limit: int, after: str | None) -> tuple[list[Narration], str | None]:
        """Narrations of the caller, for an admin all, the newest first, and where the next page begins."""
        prefix = "requests/" if is_admin(caller) else f"requests/{caller.key}/"
        stats = [stat for stat in self.store.list(prefix) if layout.api_request.match(stat.key)]
        rows = {stat.key.rpartition("/")[2].removesuffix(".json"): (stat.modified, stat.key) for stat in stats}
        if is_admin(caller):  # also those that were not submitted by HTTP
            for stat in self.store.list(layout.SCRIPTS):
                fields = layout.script.match(stat.key)
                name = fields["narration"] if fields else ""
                match = _ID.fullmatch(name)
                if layout.NAME.fullmatch(name) and not (match and match[1] in rows):
                    rows[name] = stat.modified, ""
        ids = sorted(rows, key=lambda row: (-rows[row][0], row))
        begin = ids.index(after) + 1 if after in ids else 0

        def read(row: str) -> tuple[ApiRequest | None, str]:
            key = rows[row][1]
            return (read_record(self.store, key, ApiRequest) if key else None), row

        page = list(in_parallel(self.store, read, ids[begin : begin + limit]))
        more = ids[begin + limit - 1] if begin + limit < len(ids) else None
        names = [request.narration if request else row for request, row in page]
        try:  # of all at once
            states = self.desk.states(names)
        except InputError:
            states = {}
        described = (
            self._described(request, name, states.get(name)) for (request, _), name in zip(page, names, strict=True)
        )
        return [narration for narration in described if narration], more

    def _described(self, request: ApiRequest | None, narration: str, state: NarrationState | None) -> Narration | None:
        try:
            return self.describe(request, narration, state=state)
        except InputError:  # its script was removed at the command line
            return None

    def change(self, caller: ApiKey, narration: str, *, cancel: bool) -> Narration:
        """Cancel a narration, or try it again."""
        request = self.request_of(caller, narration)
        if self.describe(request, narration).state == "done":
            raise ConflictError("this narration is done", hint="Submit it anew, or delete it.")
        if request is not None:
            request = request.model_copy(update={"canceled": iso_time() if cancel else None})
            write_record(self.store, _key(request), request)
        (self.desk.cancel if cancel else self.desk.retry)(narration)
        return self.describe(request, narration)

    def delete(self, caller: ApiKey, narration: str) -> Receipt:
        """Begin to remove a narration with its script and files; its links end. `finish_removal` does the rest."""
        request = self.request_of(caller, narration)
        if self.describe(request, narration).state != "done":
            self.desk.cancel(narration)
        return begin_removal(self.store, "script", narration)

    def finish_removal(self, kind: Kind, name: str) -> None:
        """Remove what is left of something whose removal was begun. What fails is logged, and finished by
        the next start of a service, or by `f5-pipeline receipts --finish`."""
        with self._removing:  # each reads what the whole store refers to
            try:
                runs = self.desk.runs(narrations_of(self.store, kind, name))
                removal = find_removal(self.store, kind, name, runs=runs)
                self.desk.removed(remove(self.store, removal, runs=runs))
            except PipelineError as error:
                log.error("the removal of the %s %s is unfinished: %s", kind, name, error)

    def finish_removals(self) -> None:
        """Finish the removals that a service was stopped in. Called when one starts."""
        try:
            unfinished = [receipt for receipt in receipts(self.store) if receipt.finished is None]
        except PipelineError as error:
            log.error("the receipts of removals cannot be read: %s", error)
            return
        for receipt in unfinished:
            self.finish_removal(receipt.kind, receipt.name)

    def result(self, caller: ApiKey, narration: str, timing_formats: Iterable[str] = ()) -> Result:
        """What a narration delivers, with links that are valid; expired ones are replaced.

        Raises:
            ConflictError: nothing is delivered yet.
        """
        request = self.request_of(caller, narration)
        timings, links = find_state(self.store, Timings, narration), find_state(self.store, Links, narration)
        if timings is None or links is None:
            raise ConflictError("it is not finished", hint="Ask for its state, or follow its events.")
        manifest = read_manifest(self.store, narration, timings.revision)
        check_delivery(self.store, manifest.audio.plan)
        if links.revision != timings.revision or not links_are_valid(self.store, links):
            links = make_links(self.store, manifest, self.signer, base_url=self.base_url)
            write_state(self.store, links, narration)
        asked = request.options.formats if request else None
        audio = {file.name for file in manifest.audio.files}
        files = [
            ResultFile(name=name, url=url, media_type=media_type_of(name), description=describe_file(name))
            for name, url in links.files.items()
            if name not in audio or not asked or PurePosixPath(name).suffix[1:] in asked
        ]
        wanted = [*(request.options.timing_formats if request else ()), *timing_formats]
        return Result(
            id=narration,
            revision=timings.revision,
            seconds=manifest.audio.seconds,
            words=manifest.audio.words,
            page=links.page,
            files=files,
            timing_files={name: self._timing_url(links, name) for name in dict.fromkeys(wanted)},  # type: ignore[misc]
            expires=links.expires,
        )

    def _timing_url(self, links: Links, timing_format: str) -> str:
        name = f"{links.narration}{ONE_WORD[timing_format].suffix}"
        return file_url(self.base_url, self.signer.sign(links.narration, links.revision, name, grant=links.grant), name)


def decoded(text: str, field: str) -> bytes:
    """The bytes that a field holds in base64, with or without a data URL's head. Raises InputError."""
    import base64
    import binascii

    try:
        return base64.b64decode(re.sub(r"^data:[^,]{0,200},", "", text), validate=True)
    except (binascii.Error, ValueError):
        raise InputError("it is not base64", file=field, hint="Encode the file's bytes in base64.") from None


def _title(data: bytes, suffix: str) -> str:
    """The first words of a text; for other files, what the script itself says is taken later."""
    if suffix not in (".md", ".txt"):
        return "narration"
    words = re.sub(r"[#*_`\[\]<>]", " ", data[:2000].decode("utf-8", "ignore")).split()
    return " ".join(words[:8])[:80] or "narration"


def _key(request: ApiRequest) -> str:
    match = _ID.fullmatch(request.narration)
    assert match is not None
    return layout.api_request(request.owner, match[1])


def terminal(state: Narration) -> bool:
    """Whether nothing more will happen by itself."""
    return state.state in ("done", "failed", "canceled")
