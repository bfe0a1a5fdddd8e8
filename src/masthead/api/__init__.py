"""The Python interface: `live` behind `masthead.capture` and `masthead.replay`, `store` behind `masthead.open`."""
