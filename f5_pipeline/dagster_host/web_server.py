"""Dagster's web server behind the guard: `python -m f5_pipeline.dagster_host.web_server`, with the same options."""

from __future__ import annotations

from typing import Any

import dagster_webserver.cli as dagster_webserver
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.applications import Starlette

from f5_pipeline.dagster_host.guard import Guard
from f5_pipeline.settings import get_settings


def make_guarded_app(*args: Any, **kwargs: Any) -> Starlette:
    settings = get_settings()
    app = create_app_from_workspace_process_context(*args, **kwargs)
    app.add_middleware(Guard, host=settings.host, names=filter(None, settings.ui_hosts.split(",")))
    return app


if __name__ == "__main__":
    # The command has no place for middleware; it calls the app's maker by this name.
    dagster_webserver.create_app_from_workspace_process_context = make_guarded_app  # pyright: ignore[reportPrivateImportUsage]
    dagster_webserver.main()
