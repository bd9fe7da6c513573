"""Knows section `coordinator`: where nodes find the coordinator."""

from pydantic import Field

from generator.spec.field import HttpsUrl, HttpUrl, Section


class Coordinator(Section):
    """Where nodes find the coordinator. `url` or `urls` is required."""

    url: HttpsUrl | None = Field(None, description="The https URL that nodes enrol at: https://192.168.77.2:8443.")
    urls: tuple[HttpsUrl, ...] = Field((), description="Several coordinators, tried in turn; instead of `url`.")
    boot_url: HttpUrl | None = Field(
        None,
        description="The plain http URL of boot scripts, kernels and other public things; only for network boot.",
    )

    @property
    def all_urls(self) -> tuple[str, ...]:
        """`url` and `urls` as one, at least one once the spec is checked."""
        return ((self.url,) if self.url else ()) + self.urls
