"""The settings: masthead.toml, MASTHEAD_* variables and flags, read into frozen models."""

from masthead.config.load import Loaded, load
from masthead.config.model import Config
from masthead.config.rules import SECRET_FIELDS, SECRET_QUERY, restart_needed, rules_json

__all__ = ["SECRET_FIELDS", "SECRET_QUERY", "Config", "Loaded", "load", "restart_needed", "rules_json"]
