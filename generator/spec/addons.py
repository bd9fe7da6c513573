"""Knows section `addons`: what the first master installs into the finished cluster."""

from enum import StrEnum

from pydantic import Field

from generator.spec.field import Flag, Line, Section, Url


class IngressController(StrEnum):
    """The ingress controller."""

    NGINX = "nginx"
    TRAEFIK = "traefik"


class Ingress(Section):
    """An ingress controller on the workers' ports 80 and 443."""

    enabled: Flag = Field(False, description="Install it.")
    controller: IngressController = Field(IngressController.NGINX, description="Which one.")


class MetricsServer(Section):
    """metrics-server: `kubectl top` and autoscaling."""

    enabled: Flag = Field(False, description="Install it.")


class Dashboard(Section):
    """The Kubernetes dashboard."""

    enabled: Flag = Field(False, description="Install it.")


class CertManager(Section):
    """cert-manager with a ClusterIssuer `letsencrypt-prod`."""

    enabled: Flag = Field(False, description="Install it.")
    acme_email: Line | None = Field(None, description="Contact address of the ACME account; needed when enabled.")
    acme_server: Url = Field("https://acme-v02.api.letsencrypt.org/directory", description="The ACME directory.")


class Addons(Section):
    """What the first master installs into the finished cluster."""

    ingress: Ingress = Field(Ingress(), description="An ingress controller.")
    metrics_server: MetricsServer = Field(MetricsServer(), description="metrics-server.")
    dashboard: Dashboard = Field(Dashboard(), description="The Kubernetes dashboard.")
    cert_manager: CertManager = Field(CertManager(), description="cert-manager.")
