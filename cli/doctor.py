"""`imageedit doctor`: looks at everything that the gateway needs, and says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from cli.checkup.dates import check_dates
from cli.checkup.files import check_files
from cli.checkup.finding import Finding, Level, fail, ok, show
from cli.checkup.ports import check_ports
from cli.checkup.providers import ask_providers, check_providers
from cli.checkup.stores import check_database, check_redis
from cli.checkup.versions import check_versions
from gateway_http import settings as front
from server import catalog_file
from server.providers.registry import PROVIDERS
from server.settings import Settings, SettingsError, read_settings


@click.command()
@click.option(
    "--online",
    is_flag=True,
    help="Ask each configured provider whether it knows its key, by a question that costs nothing.",
)
def doctor(*, online: bool) -> None:
    """Check settings, keys, database, Redis, ports, catalogue, files and versions.

    Reads the same variables as `imageedit serve`, changes nothing, shows no secret, and asks
    nobody outside unless --online says so. Ends with 1 where something fails.

    \b
    imageedit doctor
    imageedit doctor --online
    """
    findings = list(_examine(online=online))
    show(findings)
    count = [finding.level for finding in findings].count
    failed, warned = count(Level.FAIL), count(Level.WARN)
    click.echo(f"{len(findings)} checks: {failed} failed, {warned} to look at", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _examine(*, online: bool) -> Iterator[Finding]:
    yield from check_versions()
    try:
        settings, front_settings = read_settings(os.environ), front.read(os.environ)
    except (SettingsError, front.SettingsError) as error:
        yield fail("settings", str(error), "Correct it; the other checks need all settings.")
        return
    yield ok("settings", "all of them can be used")
    yield from check_providers(settings)
    yield from _catalogue(settings, online=online)
    yield from check_database(settings.database_url)
    yield check_redis(settings.redis_url)
    yield from check_ports(settings, front_settings)
    yield from check_files(settings)


def _catalogue(settings: Settings, *, online: bool) -> Iterator[Finding]:
    # Without any key everything is simulated, so that every model can be routed.
    configured = settings.provider_keys or PROVIDERS
    try:
        catalog = catalog_file.load(settings.catalog, PROVIDERS, configured)
    except catalog_file.CatalogError as error:
        yield fail("catalogue", str(error), "Correct it, or unset IMAGEEDIT_CATALOG.")
        return
    yield from check_dates(catalog, datetime.now(UTC).date())
    if online:
        yield from ask_providers(settings, dict(catalog.providers))
