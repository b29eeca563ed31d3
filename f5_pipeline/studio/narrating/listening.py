"""Takes that are listened to: all, or those that their measures leave in doubt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.listener import MAX_BATCH, Hearing, Listener, Piece
from f5_pipeline.speech.listening.recogniser import MAX_SECONDS
from f5_pipeline.speech.quality.gate import Band, Measures, in_doubt
from f5_pipeline.speech.takes import Take, read_take_audio, take_json
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.engines import references_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.recognition import open_listener
from f5_pipeline.studio.records import Shard

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("f5_pipeline.studio")


class TakeListener:
    """Listens to takes, several at once where several threads ask. Threads may share one."""

    def __init__(self, listener: Listener, *, every: bool) -> None:
        """
        Args:
            every: listen to every take, not only to those in doubt.
        """
        self._listener, self._every = listener, every
        self._failed = False
        self._waiting: list[tuple[Piece, Future[Hearing]]] = []
        self._queue, self._turn = Lock(), Lock()

    def wants(self, take: Take, band: Band) -> bool:
        """Whether a take should be listened to, and was not yet."""
        if self._failed or take.measures is None or take.heard or not self._listener.hears(take.language):
            return False
        if take.samples > MAX_SECONDS * SAMPLE_RATE:
            return False
        return self._every or in_doubt(Measures.model_validate(take.measures), band)

    def listened(self, take: Take, samples: np.ndarray) -> Take:
        """The take's record with what is heard in it. `samples`: float32, mono, SAMPLE_RATE Hz.

        Where the listener fails, as for lack of memory, it says so once, and the takes are judged by their measures.
        """
        heard: Future[Hearing] = Future()
        with self._queue:
            self._waiting.append((Piece(samples, take.text, take.language, take.voice), heard))
        with self._turn:  # whoever has it listens for all who wait
            if not heard.done():
                self._listen()
        try:
            return take.model_copy(update={"heard": heard.result().model_dump(exclude_none=True)})
        except Exception as error:
            if not self._failed:
                log.warning("takes are not listened to any more, as the listener fails: %s", error)
            self._failed = True
            return take

    def _listen(self) -> None:
        with self._queue:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        try:
            hearings = self._listener.listen([piece for piece, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), hearing in zip(batch, hearings, strict=True):
            future.set_result(hearing)

    def relistened(self, store: Store, take: Take) -> Take:
        """A kept take with what is heard in it, which is kept too."""
        heard = self.listened(take, read_take_audio(store.get_bytes(layout.take_audio(take.key))))
        if heard is not take:
            store.put_bytes(layout.take_record(take.key), take_json(heard))
        return heard


@contextmanager
def take_listener_of(
    store: Store, shard: Shard, options: StudioOptions, device: str = "cpu"
) -> Iterator[TakeListener | None]:
    """What listens to a shard's takes, by `options.listen`; None where nothing does.

    Args:
        device: that the shard's engine computes on.

    Raises:
        InputError: listening is asked for, and cannot be done here.
    """
    if options.listen == "off" or engines.spec_of(shard.engine).times_itself:
        yield None
        return
    with ExitStack() as stack:
        references = references_of(store, shard.voices)
        samples = {name: reference.load for name, reference in references.items()}
        listener = stack.enter_context(open_listener(store, options, device=device, references=samples))
        if listener is None:
            yield None
            return
        for language in {reference.language for reference in references.values()}:
            listener.hears(language)  # before anything is spoken, should its model not be to be had
        yield TakeListener(listener, every=options.listen == "all")
