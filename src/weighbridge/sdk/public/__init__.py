"""The read API: what is stored, outside of a run."""

from weighbridge.sdk.public.api import Api, Viewer
from weighbridge.sdk.public.collections import ArtifactCollection, ArtifactType
from weighbridge.sdk.public.lineage import Lineage
from weighbridge.sdk.public.projects import Project, Registry
from weighbridge.sdk.public.run import Run

__all__ = ["Api", "ArtifactCollection", "ArtifactType", "Lineage", "Project", "Registry", "Run", "Viewer"]
