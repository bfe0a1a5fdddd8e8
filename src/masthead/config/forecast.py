"""The settings of the forecasts that the service makes for its metrics (`[forecast]`)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from masthead.config.section import Age, Many, Section

Forecast: TypeAlias = Literal["rate", "p95", "errors", "quota"]


class Forecasts(Section):
    """What is forecast from the store, how often, and up to which limits; a change needs a restart."""

    every: Age = "forever"
    metrics: Many[Forecast] = ("rate", "p95", "errors", "quota")
    slos: Many[str] = ()
    routes: Annotated[int, Field(ge=1, le=1000)] = 20
